"""A linear recurrence without a loop over its steps.   T steps, any further axes behind"""

from __future__ import annotations

import numpy as np

from rnnlit.tools.checks import check_array


def linear_scan(f: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, int]:
    """All c_t of  c_t = f_t c_{t-1} + u_t  with c_0 = 0, in about log2(T) rounds.

    Two steps in a row are one step of the same kind:

        f_2 (f_1 c + u_1) + u_2 = (f_2 f_1) c + (f_2 u_1 + u_2)

    After a round each step stands for twice as many steps as before (Hillis & Steele 1986).

    f, u (T, ...)  ->  c (T, ...), and the number of rounds
    ValueError, TypeError: arrays of different shape or dtype.
    """
    check_array("u", u, f.shape, f.dtype)
    f, u = f.copy(), u.copy()
    rounds, reach = 0, 1
    while reach < len(f):
        u[reach:] = f[reach:] * u[:-reach] + u[reach:]
        f[reach:] = f[reach:] * f[:-reach]
        rounds, reach = rounds + 1, 2 * reach
    return u, rounds
