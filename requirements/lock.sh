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
# A lock for each peer of the benchmarks: those in our process agree with our lock, the others need not.
peers() {
    python3 -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"][sys.argv[1]], sep="\n")' "$1"
}
mkdir -p requirements/peers
ours=$(sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p' requirements/bench.txt)
for wanted in $(peers peers); do
    echo "$wanted" | compile "peers/${wanted%%[<>=]*}.txt" - --constraint requirements/bench.txt $ours
done
for wanted in $(peers peers-apart); do
    echo "$wanted" | compile "peers/${wanted%%[<>=]*}.txt" -
done
compile audit.txt --group pyproject.toml:audit
compile worker.txt pyproject.toml --extra aws --extra hub --extra notebooks --extra pdf --group worker --constraint requirements/dev.txt
compile ../infra/container/server.txt --group pyproject.toml:server --constraint requirements/dev.txt
