"""Tiny bundles to install: the real installer, a pip, and an edgevoice that only notes how it was called."""

import base64
import hashlib
import platform
import shutil
import sys
import zipfile
from pathlib import Path

import pip

from tools.bundle import pack
from tools.bundle.__main__ import INSTALLER

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PROGRAM = """
import os, pathlib, sys

def main():
    words = sys.argv[1:]
    if words == ["--version"]:
        print("edgevoice VERSION")
        return 0
    with open(os.environ["CALLS"], "a") as calls:
        print("VERSION", *words, file=calls)
    if words[:2] == ["models", "pull"]:
        pathlib.Path(words[words.index("--into") + 1]).mkdir(parents=True, exist_ok=True)
    if words == ["where"]:
        print(os.environ["EDGEVOICE_MODELS"])
    return int(os.environ.get("FAIL") == " ".join(words))
"""


PIP = '''
"""Does with wheels what pip does with those of these bundles, in a twentieth of the time."""
import pathlib, sys, sysconfig, zipfile

for line in pathlib.Path(sys.argv[sys.argv.index("--requirement") + 1]).read_text().splitlines():
    zipfile.ZipFile(line).extractall(sysconfig.get_path("purelib"))
script = pathlib.Path(sysconfig.get_path("scripts"), "edgevoice")
script.write_text(f"#!{sys.executable}\\nimport sys\\nfrom edgevoice import main\\nsys.exit(main())\\n")
script.chmod(0o755)
'''


def make_bundle(folder: Path, version: str, *, real_pip: bool = False) -> Path:
    """Make a bundle for this machine.

    Its module ``waiting``, for the proof, opens the FIFO $GATE for writing and then for reading.

    Args:
        real_pip: with pip itself instead of a stand-in.

    Returns:
        Its folder.
    """
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    (folder / "models").mkdir()
    shutil.copy(INSTALLER, folder)
    if real_pip:
        _write_pip(wheels)
    else:
        with zipfile.ZipFile(wheels / "pip-0-py3-none-any.whl", "w") as archive:
            archive.writestr("pip/__main__.py", PIP)
    name = f"edgevoice-{version}-py3-none-any.whl"
    _write_wheel(wheels / name, version)
    (folder / f"wheels-{PYTHON}.txt").write_text(f"./wheels/{name}\n")
    (folder / "BUNDLE").write_text(
        f"format=1\nversion={version}\ncommit=c{version}\narch={platform.machine()}\npythons={PYTHON}\nglibc=2.17\n"
        f"models=one@catalog two@catalog\nkilobytes=100\nproof=edgevoice\n"
    )
    pack.write_sums(folder)
    return folder


def change(bundle: Path, key: str, value: str) -> None:
    """Change what the bundle says of itself, as if it had been made so."""
    lines = (bundle / "BUNDLE").read_text().splitlines()
    text = "".join(f"{key}={value}\n" if line.startswith(f"{key}=") else f"{line}\n" for line in lines)
    (bundle / "BUNDLE").write_text(text)
    pack.write_sums(bundle)


def _write_pip(wheels: Path) -> None:
    """pip as a wheel, made of the one that is installed."""
    package = Path(pip.__file__).parent
    with zipfile.ZipFile(wheels / f"pip-{pip.__version__}-py3-none-any.whl", "w") as archive:
        for path in sorted(package.rglob("*")):
            if path.suffix != ".pyc" and path.is_file():
                archive.write(path, Path("pip", path.relative_to(package)))


def _write_wheel(path: Path, version: str) -> None:
    notes = f"edgevoice-{version}.dist-info"
    members = {
        "edgevoice.py": PROGRAM.replace("VERSION", version),
        "waiting.py": "import os\nopen(os.environ['GATE'], 'w').close()\nopen(os.environ['GATE']).close()\n",
        f"{notes}/METADATA": f"Metadata-Version: 2.1\nName: edgevoice\nVersion: {version}\n",
        f"{notes}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{notes}/entry_points.txt": "[console_scripts]\nedgevoice = edgevoice:main\n",
    }
    digest = {name: hashlib.sha256(text.encode()).digest() for name, text in members.items()}
    record = [
        f"{name},sha256={base64.urlsafe_b64encode(digest[name]).rstrip(b'=').decode()},{len(text)}"
        for name, text in members.items()
    ]
    members[f"{notes}/RECORD"] = "\n".join([*record, f"{notes}/RECORD,,", ""])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
