"""Nothing leaves the machine, and nothing that names it is written down, because edgevoice is used."""

import os
import subprocess
import sys
from pathlib import Path

REASONS_TO_BE_SILENT = (
    "ORT_DISABLE_TELEMETRY",
    "ORT_RUNNING_UNIT_TESTS",
    "CI",
    "GITHUB_ACTIONS",
    "TF_BUILD",
    "XDG_CACHE_HOME",
)
"""Variables that would keep ONNX Runtime quiet, or have it write elsewhere, without edgevoice's doing."""


def run(code: str, home: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in REASONS_TO_BE_SILENT}
    environment |= {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=home, check=True, timeout=60)


def test_onnx_runtime_keeps_no_identifier_of_this_machine(tmp_path: Path) -> None:
    run("from edgevoice.engines.registry import require; require('onnxruntime')", tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_a_users_own_choice_stands(tmp_path: Path) -> None:
    run(
        "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '0'; import edgevoice; "
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '0'",
        tmp_path,
    )
