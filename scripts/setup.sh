#!/bin/sh
# Make .venv and install requirements.txt into it.  `make` calls this when .venv/.set-up is missing or out of date.
#
#   HASHES=1 scripts/setup.sh              refuses files whose hashes are not in requirements.lock
#   PYTHON=python3.12 scripts/setup.sh     chooses the interpreter; otherwise the first suitable one on the PATH is taken
#
# Every failure is one line on stderr and a non-zero exit; what pip had to say stands in .venv/setup.log.
set -u
cd "$(dirname "$0")/.." || exit 1

venv=.venv
stamp=$venv/.set-up      # written last: a set-up that was interrupted never counts as finished
marker=.venv.unfinished  # there while the set-up works: what an interruption leaves behind is thrown away
log=$venv/setup.log

fail() {
    echo "set-up: $*" >&2
    exit 1
}

# Is "$1" a Python of 3.11 or later that can make environments?  Otherwise $found says what it is instead.
suitable() {
    found=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
        found=missing
        return 1
    }
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || return 1
    "$1" -c 'import ensurepip, venv' 2>/dev/null || {
        found="$found without venv"
        return 1
    }
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suitable "$PYTHON" && python=$PYTHON && return
        case $found in
        missing) fail "PYTHON=$PYTHON does not run; give a Python of version 3.11 or later." ;;
        *venv) fail "PYTHON=$PYTHON is Python $found; install its venv module (Debian: apt install python3-venv)." ;;
        *) fail "PYTHON=$PYTHON is Python $found; this book needs 3.11 or later." ;;
        esac
    fi
    seen='' bare=''
    for python in python3.13 python3.12 python3.11 python3; do
        suitable "$python" && return
        case $found in
        missing) ;;
        *venv) bare=$python ;;
        *) seen=" ($python is Python $found)" ;;
        esac
    done
    [ -z "$bare" ] || fail "$bare lacks the venv module; install it (Debian: apt install python3-venv) and run make again."
    fail "no Python of version 3.11 or later found$seen; install one, or name it: make book PYTHON=/path/to/python3."
}

# What kept pip from finishing, in one line.
diagnose() {
    if grep -qiE 'NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|Network is unreachable|name resolution|Connection refused|Connection aborted|from versions: none' "$log"; then
        echo "no package index could be reached; connect to the network and run make again (details: $log)."
    elif grep -qi 'No space left' "$log"; then
        echo "the disk is full; set-up takes about 2 GB (details: $log)."
    elif wanted=$(sed -n 's/.*No matching distribution found for \([^ ]*\).*/\1/p' "$log" | head -n 1) && [ -n "$wanted" ]; then
        echo "the package index has no $wanted for this platform and Python; try another Python: make book PYTHON=python3.11 (details: $log)."
    else
        echo "pip did not finish; its last lines stand in $log."
    fi
}

# Run a command, and have file "$1" take what it says.  In the background: the shell hears a signal while it waits,
# and otherwise not before a command has ended.
run_into() {
    file=$1
    shift
    "$@" >>"$file" 2>&1 &
    wait "$!"
}

interrupted() {
    trap '' INT TERM HUP
    { kill "${!:-}" && wait "$!"; } 2>/dev/null
    fail "interrupted; run make again."
}
trap interrupted INT TERM HUP

# With HASHES=1 all but torch comes from files whose hashes are known (requirements.lock), and nothing is built with
# packages that are not.
install() {
    isolation=
    if [ "${HASHES:-}" = 1 ]; then
        run_into "$log" "$venv/bin/python" -m pip install --disable-pip-version-check --retries "${PIP_RETRIES:-2}" --no-deps --require-hashes -r requirements.lock || return 1
        isolation=--no-build-isolation
    fi
    run_into "$log" "$venv/bin/python" -m pip install --disable-pip-version-check --retries "${PIP_RETRIES:-2}" $isolation -r requirements.txt
}

reusable() {
    [ ! -e "$marker" ] && suitable "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 || return 1
    # A Python that was asked for by name must be the one that is there.
    [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -V 2>&1)" = "$("$venv/bin/python" -V)" ]
}

if reusable; then
    echo "set-up: bringing $venv up to requirements.txt ..."
    : >"$marker"
else
    find_python
    echo "set-up: making $venv with $("$python" -V) and installing requirements.txt; the first time takes some minutes ..."
    : >"$marker"
    run_into /dev/null "$python" -m venv --clear "$venv" ||
        fail "$python could not make $venv; can this folder be written, and is the venv module whole (Debian: apt install python3-venv)?"
fi

rm -f "$stamp"
: >"$log"
install || {
    rm -f "$marker"
    fail "$(diagnose)"
}
# The first import of matplotlib lists the machine's fonts, which takes seconds and warns about it: not on a page.
run_into "$log" "$venv/bin/python" -c 'import matplotlib.font_manager' || fail "the installed packages do not import (details: $log)."
rm -f "$marker"
pwd -P >"$stamp"
echo "set-up: done."
