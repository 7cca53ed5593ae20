#!/bin/sh
# Renew the locks: hashes, no addresses, valid for every platform from Python 3.11 on. Needs uv.
set -eu
cd "$(dirname "$0")/.."
compile() {
    out=$1; shift
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --no-header --quiet "$@" --output-file "requirements/$out"
}
compile core.txt pyproject.toml
compile demo.txt pyproject.toml --extra demo
compile dev.txt pyproject.toml --extra demo --extra aws --extra dask --extra dicom --extra decoders --group test --group build
