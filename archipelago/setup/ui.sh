#!/usr/bin/env bash
# ui.sh build|test: builds the web page, or also checks and tests it. Does nothing that is done already.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$REPO/ui"

has npm || die "npm is missing" "make prepare"
# npm writes the hidden lock file last, after everything it describes.
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    say "UI: fetching its packages"
    npm ci --no-audit --no-fund --loglevel=error || die "npm could not fetch the packages" "is the network up?"
fi

if [ ! -e dist/index.html ] || [ -n "$(find . -name node_modules -prune -o -name dist -prune -o \
    -type f ! -name '*.test.ts' -newer dist/index.html -print -quit)" ]; then
    say "UI: building"
    npm run --silent build
else
    say "UI: already built"
fi

if [ "${1:-build}" = test ]; then
    say "UI: types"
    npm run --silent typecheck
    say "UI: weight of the first load"
    npm run --silent size
    say "UI: tests"
    npm test
    say "UI: the built page in a browser, against a mock node"
    npm run --silent test:browser
fi
