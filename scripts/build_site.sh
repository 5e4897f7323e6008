#!/bin/sh
# Build the site into _build/html; any warning is an error.  `make site` calls this.
#
#   JUPYTER_BOOK=path scripts/build_site.sh     takes the jupyter-book of another environment than .venv
set -u
cd "$(dirname "$0")/.." || exit 1

if ! "${JUPYTER_BOOK:-.venv/bin/jupyter-book}" build . -W -n --keep-going; then
    # Sphinx warns about a page only when it reads it: without this, a second build would skip the page and pass.
    rm -rf _build/.doctrees
    echo "site: the build failed; the warnings above say where." >&2
    exit 1
fi
