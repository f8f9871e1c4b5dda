# The front door: contract, api and client, without torch.
#   docker build -f deploy/docker/api.Dockerfile -t guanwu-api .
FROM python:3.11-slim-bookworm

WORKDIR /app
COPY pyproject.toml README.md LICENSE deploy/constraints.txt ./
COPY api ./api
COPY worker ./worker
COPY deploy ./deploy
RUN pip install --no-cache-dir -c constraints.txt . \
 && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin guanwu

USER guanwu
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["gunicorn", "--config=python:api.gunicorn_conf", "--bind=0.0.0.0:8000", "api.wsgi:application"]
