"""Matrix products of compiled code: Numba calls those of SciPy's OpenBLAS, here on one thread.

Rounding may depend on the number of threads, and these products are too small for several.
"""

from __future__ import annotations

import scipy.linalg.cython_blas  # noqa: F401
from threadpoolctl import threadpool_limits

threadpool_limits(1, "blas")
