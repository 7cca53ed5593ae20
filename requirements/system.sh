#!/bin/sh
# Pango draws the PDF and HarfBuzz-Subset cuts its fonts. Install them where that needs no question,
# else say how to get them. WeasyPrint only warns where the second is missing; here it counts as missing.
set -u
has_pango() { .venv/bin/python -W error:HarfBuzz-Subset:DeprecationWarning -c 'import weasyprint' >/dev/null 2>&1; }
has_pango && exit 0
packages="libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
root=""
[ "$(id -u)" = 0 ] || root="sudo -n"
if command -v apt-get >/dev/null; then
    { $root apt-get install -y --no-install-recommends $packages ||
        { $root apt-get update && $root apt-get install -y --no-install-recommends $packages; }; } >/dev/null 2>&1
elif command -v dnf >/dev/null; then
    $root dnf install -y pango >/dev/null 2>&1
elif command -v apk >/dev/null; then
    $root apk add pango >/dev/null 2>&1
elif command -v brew >/dev/null; then
    brew install pango >/dev/null 2>&1
fi
has_pango || echo "no PDF without Pango (HTML is made): apt-get install $packages, or brew install pango"
exit 0
