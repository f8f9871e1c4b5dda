# The front door and the coordinator: contract, api and client, without torch.
#   docker build -f deploy/docker/api.Dockerfile -t guanwu-api .
# The root file system may be read-only: only /tmp is written (uploads wait there).

ARG PYTHON_TAG=3.11.14-slim-bookworm
# "@sha256:..." of the base that you have checked; a tag may move.
ARG PYTHON_DIGEST=""

FROM python:${PYTHON_TAG}${PYTHON_DIGEST} AS build
# "traces" for GUANWU_TRACES=otlp.
ARG EXTRAS=""
WORKDIR /src
COPY pyproject.toml README.md LICENSE deploy/constraints.txt ./
COPY api/client/pyproject.toml api/client/README.md ./api/client/
# The packages first, with empty ones of our own, so that a change of our code leaves this
# layer as it is.
RUN mkdir -p api/client/guanwu worker deploy \
 && touch api/client/guanwu/__init__.py api/__init__.py worker/__init__.py deploy/__init__.py \
 && python -m venv --without-pip /opt/packages \
 && pip --python /opt/packages/bin/python install --no-cache-dir -c constraints.txt \
    ./api/client ".${EXTRAS:+[$EXTRAS]}" \
 && pip --python /opt/packages/bin/python uninstall --yes guanwu guanwu-server
COPY api ./api
COPY worker ./worker
COPY deploy ./deploy
RUN pip --python /opt/packages/bin/python install --no-cache-dir -c constraints.txt \
    --no-deps --target /opt/guanwu ./api/client .

FROM python:${PYTHON_TAG}${PYTHON_DIGEST}
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="guanwu-api" \
      org.opencontainers.image.description="Guanwu 观物: the front door and the coordinator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin guanwu
COPY --from=build /opt/packages /opt/packages
COPY --from=build /opt/guanwu /opt/guanwu
ENV PATH=/opt/packages/bin:/opt/guanwu/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/guanwu \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["gunicorn", "--config=python:api.gunicorn_conf", "--bind=0.0.0.0:8000", "api.wsgi:application"]
