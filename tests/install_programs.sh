#!/bin/sh
# Debian's PACS, text detector, sandbox and DICOM tools for the tests that need the real ones; skipped without. Needs root.
set -eu
command -v Orthanc >/dev/null && command -v tesseract >/dev/null && command -v bwrap >/dev/null && command -v dsrdump >/dev/null && command -v dciodvfy >/dev/null && exit 0
apt-get update -q
apt-get install -y -q --no-install-recommends orthanc orthanc-dicomweb iproute2 tesseract-ocr tesseract-ocr-eng bubblewrap dcmtk dicom3tools
