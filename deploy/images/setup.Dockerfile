# The command, `doppel …`: what must be there before the services start, and what an operator does afterwards.
#   docker build -f deploy/images/setup.Dockerfile .
FROM python:3.11-slim-bookworm AS build
COPY deploy/requirements/uv.txt /requirements/
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/root/.cache pip install -q -r /requirements/uv.txt
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,source=deploy/requirements,target=/pins \
    uv venv -q /app/.venv && uv pip install -q --python /app/.venv --no-deps -r /pins/setup.txt

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin doppel \
    && install -d -o 10001 -g 10001 /models /stores/nats /stores/s3 /secrets/master /secrets/nats /secrets/postgres /secrets/s3 \
       /secrets/setup /secrets/ops /secrets/gateway /secrets/scraper /secrets/trainer /secrets/inference /secrets/playground
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
COPY proto/ proto/
COPY doppel/ doppel/
COPY services/gateway/migrations/ services/gateway/migrations/
COPY services/scraper/migrations/ services/scraper/migrations/
COPY services/trainer/migrations/ services/trainer/migrations/
ENV PATH=/app/.venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
ENTRYPOINT ["python", "-m", "doppel"]
CMD ["--help"]
