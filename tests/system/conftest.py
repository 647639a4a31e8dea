"""Tests of the service in a real systemd, which take root and minutes: ``make test-system`` runs them, ``make test``
does not."""

import os

RUNS = "EDGEVOICE_SYSTEM_TESTS"
"""Set by ``make test-system``."""

collect_ignore_glob = [] if os.environ.get(RUNS) else ["test_*.py"]
