#!/usr/bin/env bash
# install.sh PROFILE FOLDER: copies the binaries of a cargo profile (release, debug) and the catalog to FOLDER,
# where the user of the node can read them even if the checkout is closed to that user.
# Prints nothing; FOLDER then holds bin/ and catalog/.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

profile=$1 folder=$2
# A copy beside the old one, then a swap: a running node never sees half a catalog.
tar -C "$TARGET/$profile" -c archipelago archy | as_user sh -c '
    set -eu
    mkdir -p "$1/bin.new" && tar -C "$1/bin.new" -x
    rm -rf "$1/bin" && mv "$1/bin.new" "$1/bin"' sh "$folder"
tar -C "$REPO/apps" -c catalog | as_user sh -c '
    set -eu
    mkdir -p "$1/new" && tar -C "$1/new" -x
    rm -rf "$1/catalog" && mv "$1/new/catalog" "$1/catalog" && rmdir "$1/new"' sh "$folder"
