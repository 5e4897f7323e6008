"""The tolerances of all tests, by dtype. A test that needs another says why."""

import numpy as np

TOLERANCE = {np.float64: dict(rtol=1e-10, atol=1e-10), np.float32: dict(rtol=1e-5, atol=1e-5)}
DIFFERENCES = dict(rtol=1e-6, atol=1e-6)  # central differences, float64
