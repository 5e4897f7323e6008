"""Print the pins of constraints.txt: each installed package that requirements.txt does not pin itself.

Torch's run-time libraries differ from platform to platform (CPU, CUDA, macOS), so they stay out; so does what
has a local version such as 2.13.0+cpu, which only one index serves.

    python scripts/constraints.py > constraints.txt
"""

import re
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

HEADER = """\
# What the packages of requirements.txt need in turn, as pip resolved it; `make constraints` writes this file.
# A constraint installs nothing by itself: a line for a package that a platform does not need has no effect.
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


if __name__ == "__main__":
    text = (Path(__file__).resolve().parents[1] / "requirements.txt").read_text(encoding="utf-8")
    print(HEADER + "\n".join(pins(((d.name, d.version) for d in distributions()), text)))
