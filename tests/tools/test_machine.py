"""The description of a machine: whole, and without what would tell whose it is."""

import json
import os
import platform
import re
from pathlib import Path

import numpy as np

from rnnlit.tools import machine


def test_it_holds_what_the_system_says():
    found = machine.describe()
    assert json.loads(json.dumps(found)) == found
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found["date"])
    assert 1 <= found["cores"] <= os.cpu_count()
    assert found["python"].endswith(platform.python_version())
    assert found["packages"]["numpy"] == np.__version__
    assert "gpu" not in found and machine.describe("a GPU")["gpu"] == "a GPU"


def test_it_names_no_host_no_user_and_no_path():
    text = json.dumps(machine.describe())
    assert platform.node() not in text and str(Path.home()) not in text
