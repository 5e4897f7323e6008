"""What a measured number depends on: the processor, the libraries and the day.

Every record of a measurement or of a full run holds such a description. It names neither the host, nor a
user, nor a path.

    python -m rnnlit.tools.machine        prints the description of this machine
"""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("numpy", "torch", "triton", "torchrecurrent", "keras", "scipy", "safetensors", "sacrebleu")


def describe(gpu: str | None = None) -> dict[str, Any]:
    """Describe this machine and the versions in use, in plain values that JSON can hold.

    `gpu` is the name of the one that did the work, as `torch.cuda.get_device_name` gives it.

    Keys: `date` (UTC, YYYY-MM-DD), `cpu` (model name), `cores` (those this process may use), `memory_gib`,
    `system`, `python`, `blas` (the one NumPy was built with), `blas_threads` (None where nothing tells),
    `packages` (name -> version, installed ones only) and, where one is named, `gpu`.
    """
    return ({} if gpu is None else {"gpu": gpu}) | {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "blas": _blas(),
        "blas_threads": _blas_threads(),
        "packages": _versions(PACKAGES),
    }


def _cpu_model() -> str:
    # platform.processor() is empty or only "x86_64" on Linux; the kernel knows the name.
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    # A container may own fewer cores than the machine has.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _blas() -> str:
    built_with = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{built_with.get('name', 'unknown')} {built_with.get('version', '')}".strip()


def _blas_threads() -> int | None:
    try:
        from threadpoolctl import threadpool_info  # type: ignore[import-untyped]
    except ImportError:
        for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
            if os.environ.get(name, "").isdigit():
                return int(os.environ[name])
        return None
    threads = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(threads, default=None)


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


if __name__ == "__main__":
    print(json.dumps(describe(), indent=2))
