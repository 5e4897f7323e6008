"""Checks of all files of the repository: no path of a machine, the public address in one place."""

import re
from collections.abc import Iterable, Mapping

START = r"(?<![\w.~}/-])"  # where a path may begin: not inside another one, nor inside an address
MACHINE_PATHS = re.compile(
    rf"{START}/(?:home|Users)/[A-Za-z][\w.-]*/"
    rf"|{START}/(?:root|work|tmp|mnt|private|var/folders)/[\w.-]+"
    r"|\b[A-Z]:\\\\?Users\\"
)


def machine_paths(texts: Mapping[str, str], own: Iterable[str] = ()) -> list[str]:
    """No file holds a path of somebody's machine: neither a usual one nor one of `own`.

    A path of one part in `own`, such as /app, is passed over: it is too short to tell anything.
    """
    mine = [re.compile(START + re.escape(path) + "/") for path in own if path.strip("/").count("/")]
    wrong = []
    for name, text in texts.items():
        found = [match[0] for pattern in (MACHINE_PATHS, *mine) for match in pattern.finditer(text)]
        wrong += [f"{name}: holds the path {path}" for path in dict.fromkeys(found)]
    return wrong


def address_elsewhere(texts: Mapping[str, str], url: str, home: str = "_config.yml") -> list[str]:
    """The repository's public address, or that of its pages, stands in `home`, once, and nowhere else."""
    host = url.partition("://")[2].rstrip("/")
    owner = host.split("/")[1]
    address = re.compile(rf"{re.escape(host)}|\b{re.escape(owner)}\.github\.io")
    elsewhere = [file for file, text in texts.items() if file != home and address.search(text)]
    wrong = [f"{file}: holds the public address" for file in elsewhere]
    times = len(address.findall(texts[home]))
    return wrong if times == 1 else [*wrong, f"{home}: holds the public address {times} times"]
