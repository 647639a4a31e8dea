"""numpy takes no more processors than the configuration gives to the engines."""

import os
import subprocess
import sys

PRODUCT = (
    "import {first}; import numpy, os; "
    "a = numpy.ones((512, 512), numpy.float32); a @ a; "
    "print(len(os.listdir('/proc/self/task')))"
)


def threads(first: str, **variables: str) -> int:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")} | variables
    code = PRODUCT.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, timeout=60)
    return int(done.stdout)


def test_a_product_of_matrices_starts_no_threads() -> None:
    assert threads("edgevoice") == 1


def test_a_users_own_choice_stands() -> None:
    assert threads("edgevoice", OPENBLAS_NUM_THREADS="2") == threads("sys", OPENBLAS_NUM_THREADS="2")
