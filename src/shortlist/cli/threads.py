"""Imported by the command line before numpy: linear algebra runs on one thread unless the environment says otherwise.

Sums taken by several threads differ in their last digits from run to run, and the many small products of a recommender
are slower when threads wait for each other.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_name, "1")
