#!/bin/sh
# Renew the locks: hashes, no addresses, valid for every platform from Python 3.11 on. Needs uv.
# The smaller locks are constrained by the largest, so that all agree.
set -eu
cd "$(dirname "$0")/.."
compile() {
    out=$1; shift
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --no-header --quiet "$@" --output-file "requirements/$out"
}
compile dev.txt pyproject.toml --extra demo --extra aws --extra dask --extra dicom --extra decoders \
    --extra pades --group test --group docs --group build
compile demo.txt pyproject.toml --extra demo --group build --constraint requirements/dev.txt
compile core.txt pyproject.toml --group build --constraint requirements/dev.txt
compile bench.txt pyproject.toml --extra demo --extra dask --extra decoders --group build --group bench
compile audit.txt --group pyproject.toml:audit
compile worker.txt pyproject.toml --extra aws --extra hub --extra notebooks --extra pdf --group worker --constraint requirements/dev.txt
compile ../infra/container/server.txt --group pyproject.toml:server --constraint requirements/dev.txt
