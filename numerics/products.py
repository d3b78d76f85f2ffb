"""Matrix products of compiled code: those of SciPy's OpenBLAS, which Numba calls, on one thread.

What products round to may depend on the number of threads, and these are too small for several.
"""

from __future__ import annotations

import scipy.linalg.cython_blas  # noqa: F401
from threadpoolctl import threadpool_limits

threadpool_limits(1, "blas")
