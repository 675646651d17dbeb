# The trainer: datasets in, adapters out. CPU, or CUDA with --build-arg VARIANT=cuda --build-arg TORCH_BACKEND=cu130.
#   docker build -f deploy/images/trainer.Dockerfile .
FROM python:3.11-slim-bookworm AS build
COPY deploy/requirements/uv.txt /requirements/
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/root/.cache pip install -q -r /requirements/uv.txt
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
# cpu or cuda. TORCH_BACKEND is uv's word for where torch comes from: cpu, cu130, or empty for UV_FIND_LINKS.
ARG VARIANT=cpu
ARG TORCH_BACKEND=cpu
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,source=deploy/requirements,target=/pins \
    uv venv -q /app/.venv \
    && uv pip install -q --python /app/.venv ${TORCH_BACKEND:+--torch-backend "$TORCH_BACKEND"} \
       -r /pins/trainer.txt -c "/pins/constraints-$VARIANT.txt" --override "/pins/overrides-$VARIANT.txt"

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin doppel \
    && install -d -o 10001 -g 10001 /cache
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
COPY proto/ proto/
COPY doppel/ doppel/
COPY services/__init__.py services/
COPY services/trainer/ services/trainer/
ENV PATH=/app/.venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    DOPPEL_HEALTH_HOST=0.0.0.0 DOPPEL_HEALTH_PORT=9000 DOPPEL_CACHE_DIR=/cache \
    HF_HUB_OFFLINE=1 DO_NOT_TRACK=1 TRITON_CACHE_DIR=/tmp/triton TORCHINDUCTOR_CACHE_DIR=/tmp/inductor MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
EXPOSE 9000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["python", "-m", "doppel", "health"]
CMD ["python", "-m", "services.trainer"]
