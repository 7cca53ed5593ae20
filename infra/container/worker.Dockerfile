# The hub's worker on AWS Lambda. From the project's root:
#   docker build --provenance=false --platform linux/amd64 -f infra/container/worker.Dockerfile -t healthval-worker .
FROM python:3.13-slim@sha256:6771159cd4fa5d9bba1258caf0b82e6b73458c694d178ad97c5e925c2d0e1a91

# Only /tmp can be written in Lambda: the notebook's kernel keeps its files there.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/opt/healthval HOME=/tmp
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/worker.txt /tmp/worker.txt
RUN python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/worker.txt \
    && rm /tmp/worker.txt
COPY healthval/ /opt/healthval/healthval/
COPY notebooks/ /opt/healthval/notebooks/
COPY reports/fonts/ /opt/healthval/reports/fonts/
COPY reports/templates/ /opt/healthval/reports/templates/

USER 10001
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["healthval.hub.backends.lambda_worker.handler"]
