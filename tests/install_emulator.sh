#!/bin/sh
# ministack, an AWS emulator, in an environment of its own (it pins botocore); about a minute, kept in the cache.
set -eu
cd "$(dirname "$0")/.."
exec "${PYTHON:-.venv/bin/python}" tests/path/emulator.py
