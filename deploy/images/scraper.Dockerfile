# The scraper: histories in, corpora and datasets out. No torch.
#   docker build -f deploy/images/scraper.Dockerfile .
FROM python:3.11-slim-bookworm AS build
COPY deploy/requirements/uv.txt /requirements/
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/root/.cache pip install -q -r /requirements/uv.txt
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,source=deploy/requirements,target=/pins \
    uv venv -q /app/.venv && uv pip install -q --python /app/.venv --no-deps -r /pins/scraper.txt

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin doppel \
    && install -d -o 10001 -g 10001 /scratch
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
COPY proto/ proto/
COPY doppel/ doppel/
COPY services/__init__.py services/
COPY services/scraper/ services/scraper/
ENV PATH=/app/.venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    DOPPEL_HEALTH_HOST=0.0.0.0 DOPPEL_HEALTH_PORT=9000 \
    DOPPEL_SCRATCH_FOLDER=/scratch MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
EXPOSE 9000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-m", "doppel", "health"]
CMD ["python", "-m", "services.scraper"]
