# The worker: one process per device. Two targets:
#   docker build -f deploy/docker/worker.Dockerfile --target cuda -t guanwu-worker:cuda .
#   docker build -f deploy/docker/worker.Dockerfile --target cpu  -t guanwu-worker:cpu \
#       --build-arg TORCH_INDEX=ADDRESS .
# PyPI's torch is a CUDA build on Linux and brings CUDA's libraries, so the base needs none.
# With the address of PyTorch's CPU index as TORCH_INDEX the target cpu is gigabytes smaller;
# without it, it is the same build as the other.
# The root file system may be read-only: only /tmp and /models (weights) are written.

ARG PYTHON_TAG=3.11.14-slim-bookworm
# "@sha256:..." of the base that you have checked; a tag may move.
ARG PYTHON_DIGEST=""

FROM python:${PYTHON_TAG}${PYTHON_DIGEST} AS sources
WORKDIR /src
COPY pyproject.toml README.md LICENSE deploy/constraints.txt ./
COPY api/client/pyproject.toml api/client/README.md ./api/client/
# The packages come first, with empty ones of our own, so that a change of our code leaves
# their gigabytes as they are. pip stays: weights are fetched with it.
RUN mkdir -p api/client/guanwu worker deploy \
 && touch api/client/guanwu/__init__.py api/__init__.py worker/__init__.py deploy/__init__.py \
 && python -m venv /opt/packages

FROM sources AS packages-cpu
ARG TORCH_INDEX=""
ARG EXTRAS=""
RUN /opt/packages/bin/pip install --no-cache-dir -c constraints.txt \
    ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ./api/client ".[worker${EXTRAS:+,$EXTRAS}]" \
 && /opt/packages/bin/pip uninstall --yes guanwu guanwu-server

FROM sources AS packages-cuda
# "traces" for GUANWU_TRACES=otlp.
ARG EXTRAS=""
RUN /opt/packages/bin/pip install --no-cache-dir -c constraints.txt ./api/client ".[worker${EXTRAS:+,$EXTRAS}]" \
 && /opt/packages/bin/pip uninstall --yes guanwu guanwu-server

FROM sources AS build
COPY api ./api
COPY worker ./worker
COPY deploy ./deploy
RUN /opt/packages/bin/pip install --no-cache-dir -c constraints.txt \
    --no-deps --target /opt/guanwu ./api/client .

FROM python:${PYTHON_TAG}${PYTHON_DIGEST} AS runtime
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="guanwu-worker" \
      org.opencontainers.image.description="Guanwu 观物: names and heatmaps for pictures" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Chinese titles need no font of the system: Noto Sans SC comes as a Python package.
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin guanwu \
 && install -d -o 10001 -g 0 -m 0775 /models
ENV PATH=/opt/packages/bin:/opt/guanwu/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/guanwu \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    GUANWU_MODEL_DIR=/models \
    GUANWU_ALIVE_DIR=/tmp/alive
WORKDIR /tmp
# Weights are fetched at the first start; a volume here keeps them.
VOLUME /models
USER 10001
STOPSIGNAL SIGTERM
# Every process has given a sign within the last half minute. Loading models may take a while.
HEALTHCHECK --interval=15s --timeout=3s --start-period=600s \
    CMD ["sh", "-c", "test -n \"$(ls /tmp/alive)\" && test -z \"$(find /tmp/alive -type f -mmin +0.5)\""]
CMD ["python", "-m", "worker", "run"]

FROM runtime AS cpu
COPY --from=packages-cpu /opt/packages /opt/packages
COPY --from=build /opt/guanwu /opt/guanwu

FROM runtime AS cuda
# NVML (utility) counts the GPUs, CUDA (compute) runs the model.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=packages-cuda /opt/packages /opt/packages
COPY --from=build /opt/guanwu /opt/guanwu
