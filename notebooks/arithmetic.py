"""Compute as another processor would: ``python notebooks/arithmetic.py plain pytest tests`` runs pytest so.

The same additions in another order, with or without fused multiply-adds, end in other last bits. Which order is taken
hangs on the vector units that the processor has, on the BLAS kernel made for it, and on the number of threads; all can
be chosen by environment variables, which must be set before NumPy and torch are loaded. ``build.py`` runs each lesson
under every arithmetic listed here, CI the tests too. Without arguments the names are printed.
"""

import os
import subprocess
import sys

from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

ARITHMETICS = {
    # This machine as it is.
    "own": {},
    # A processor without vector units beyond SSE: additions one by one, no fused multiply-add, one thread.
    "plain": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in __cpu_dispatch__ if __cpu_features__[name]),
        "OMP_NUM_THREADS": "1",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Prescott",
    },
    # A laptop of 2013 with AVX2, and as many threads as it likes, or as OMP_NUM_THREADS says.
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
}


def environment(name):
    """The variables of a process that computes in the arithmetic ``name``: all of this one's, and those that choose it.

    What an earlier choice has set is taken back, except that "own" leaves everything as it is, and a number of threads
    stays: two processes with two threads each on two cores wait for each other. Raises KeyError for a name that is not
    in ARITHMETICS.
    """
    chosen = ARITHMETICS[name]
    if not chosen:
        return dict(os.environ)
    known = {variable for variables in ARITHMETICS.values() for variable in variables} - {"OMP_NUM_THREADS"}
    return {k: v for k, v in os.environ.items() if k not in known} | chosen


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(*ARITHMETICS)
    elif sys.argv[1] not in ARITHMETICS:
        sys.exit(f"there is no arithmetic {sys.argv[1]!r}; there are {', '.join(ARITHMETICS)}")
    else:
        sys.exit(subprocess.run(sys.argv[2:], env=environment(sys.argv[1])).returncode)
