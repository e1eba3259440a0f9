#!/bin/sh
# Builds the pages' style sheet from NHS.UK frontend: build.sh [FOLDER], by default ../static. The result is checked in.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
into=$(cd "${1:-$here/../static}" && pwd)
cd "$here"
npm ci --silent --no-audit --no-fund --ignore-scripts --omit=optional
node build.mjs "$into/nhsuk.css"
