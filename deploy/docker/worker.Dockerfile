# The worker: one process per device. On Linux, PyPI's torch is a CUDA build; without a GPU
# pass the address of your CPU index as TORCH_INDEX and the image gets gigabytes smaller.
#   docker build -f deploy/docker/worker.Dockerfile -t guanwu-worker .
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=""
WORKDIR /app
COPY pyproject.toml README.md LICENSE deploy/constraints.txt ./
COPY api ./api
COPY worker ./worker
COPY deploy ./deploy
RUN pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} '.[worker]' \
 && useradd --system --uid 10001 --create-home --home-dir /home/guanwu --shell /usr/sbin/nologin guanwu \
 && install -d -o guanwu /models

# Weights are fetched at the first start; a volume here keeps them.
VOLUME /models
ENV GUANWU_MODEL_DIR=/models
USER guanwu
STOPSIGNAL SIGTERM
CMD ["python", "-m", "worker", "run"]
