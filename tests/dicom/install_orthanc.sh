#!/bin/sh
# Debian's PACS for the tests marked `pacs`; they are skipped without it. Needs root.
set -eu
command -v Orthanc >/dev/null && exit 0
apt-get update -q
apt-get install -y -q --no-install-recommends orthanc orthanc-dicomweb iproute2
