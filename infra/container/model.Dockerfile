# A vendor's model as an image for Amazon SageMaker. `healthval model container` writes the context:
# this file, the server (healthval/), the model (model/) and the two locks.
FROM python:3.13-slim@sha256:6771159cd4fa5d9bba1258caf0b82e6b73458c694d178ad97c5e925c2d0e1a91

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/opt/healthval
COPY server.txt requirements.txt /tmp/locks/
RUN python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/locks/server.txt \
    && python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/locks/requirements.txt \
    && rm -r /tmp/locks
COPY healthval/ /opt/healthval/healthval/
COPY model/ /opt/ml/model/

USER 10001
EXPOSE 8080
# SageMaker starts the image with the argument `serve`; the container's network has this one port.
ENTRYPOINT ["python", "-m", "healthval.hosting"]
CMD ["serve", "--host", "0.0.0.0"]
