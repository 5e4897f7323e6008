#!/bin/sh
# Build the site into _build/html; any warning is an error.  `make site` calls this.
#
#   JUPYTER_BOOK=path scripts/build_site.sh     takes the jupyter-book of another environment than .venv
set -u
cd "$(dirname "$0")/.." || exit 1

# Sphinx warns about a page only when it reads it: without this, a second build would skip the page and pass.
give_up() {
    rm -rf _build/.doctrees
    echo "site: $*" >&2
    exit 1
}

interrupted() {
    trap '' INT TERM HUP
    { kill "${!:-}" && wait "$!"; } 2>/dev/null
    give_up "interrupted; run make again."
}

# In the background: the shell hears a signal while it waits, and otherwise not before a command has ended.
trap interrupted INT TERM HUP
"${JUPYTER_BOOK:-.venv/bin/jupyter-book}" build . -W -n --keep-going &
wait "$!" || give_up "the build failed; the warnings above say where."
