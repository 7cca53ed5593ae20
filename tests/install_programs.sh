#!/bin/sh
# Debian's browser, PACS, text detector, sandbox, TLS proxy and DICOM tools for the tests that need the real ones; skipped without. Needs root.
set -eu
# Ubuntu has no package of it; Chrome, which its build machines have, serves as well.
command -v chromium >/dev/null || command -v google-chrome >/dev/null ||
    { apt-get update -q && apt-get install -y -q --no-install-recommends chromium; } || true
command -v Orthanc >/dev/null && command -v tesseract >/dev/null && command -v bwrap >/dev/null && command -v dsrdump >/dev/null && command -v dciodvfy >/dev/null && command -v nginx >/dev/null && exit 0
apt-get update -q
apt-get install -y -q --no-install-recommends orthanc orthanc-dicomweb iproute2 tesseract-ocr tesseract-ocr-eng bubblewrap dcmtk dicom3tools nginx
