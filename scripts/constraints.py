"""Print the pins of constraints.txt: each installed package that requirements.txt does not pin itself.

Torch's run-time libraries differ from platform to platform (CPU, CUDA, macOS), so they stay out; so does what
has a local version such as 2.13.0+cpu, which only one index serves.

    python scripts/constraints.py > constraints.txt
    python scripts/constraints.py --lock > requirements.lock
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

HEADER = """\
# What the packages of requirements.txt need in turn, as pip resolved it; `make constraints` writes this file.
# A constraint installs nothing by itself: a line for a package that a platform does not need has no effect.
"""
LOCK_HEADER = """\
# Each pin of requirements.txt and constraints.txt but torch's, with the hashes of all its files; `make lock`.
# With HASHES=1 the set-up installs these first, and pip refuses any other file. So the site is published.
"""
LEFT_OUT = re.compile(r"^(pip|rnnlit|triton|nvidia-.*|cuda-.*)$")


def canonical(name: str) -> str:
    """Return a package's name in the one spelling that packaging compares by (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct(requirements: str) -> set[str]:
    """Return the canonical names that a requirements file pins itself."""
    return {canonical(name) for name in re.findall(r"^([A-Za-z0-9][\w.-]*)==", requirements, flags=re.M)}


def pins(installed: Iterable[tuple[str, str]], requirements: str) -> list[str]:
    """Return `name==version`, sorted, of what is installed and neither pinned directly nor left out."""
    skip = direct(requirements)
    names = {
        canonical(name): version
        for name, version in installed
        if canonical(name) not in skip and not LEFT_OUT.match(canonical(name)) and "+" not in version
    }
    return [f"{name}=={version}" for name, version in sorted(names.items())]


def to_lock(requirements: str, constraints: str) -> list[str]:
    """Return each pin of both files, sorted, but torch's: its build for the CPU has an index of its own."""
    found = re.findall(r"^([A-Za-z0-9][\w.-]*==\S+)", f"{requirements}\n{constraints}", flags=re.M)
    return sorted(line for line in found if not line.startswith("torch=="))


def locked(pins: list[str]) -> str:
    """Return the pins with the hashes of all their files, for every platform, as uv finds them."""
    options = "-q --no-deps --generate-hashes --no-header --no-annotate --universal --python-version 3.11.7"
    command = [sys.executable, "-m", "uv", "pip", "compile", *options.split(), "-"]
    done = subprocess.run(command, input="\n".join(pins), capture_output=True, text=True, check=True)
    return LOCK_HEADER + done.stdout


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    text = (root / "requirements.txt").read_text(encoding="utf-8")
    if sys.argv[1:] == ["--lock"]:
        print(locked(to_lock(text, (root / "constraints.txt").read_text(encoding="utf-8"))), end="")
    else:
        print(HEADER + "\n".join(pins(((d.name, d.version) for d in distributions()), text)))
