#!/bin/sh
# Make a virtual environment with pip: venv.sh PYTHON FOLDER
set -eu
python=$1 folder=$2
if "$python" -m venv "$folder" 2>/dev/null; then exit 0; fi
rm -rf "$folder"
# Debian splits venv from Python.
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    version=$("$python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
    { apt-get update && apt-get install -y --no-install-recommends "python$version-venv"; } >/dev/null 2>&1 || true
fi
"$python" -m venv "$folder" || {
    echo "Python's venv module is missing: apt-get install python3-venv, then run make again" >&2
    exit 1
}
