"""Make a bundle: ``python -m tools.bundle``; see ``make bundle`` and ``make install``."""

import argparse
import importlib.util
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.bundle import pack, sound
from tools.bundle.commands import only, pip, run
from tools.bundle.debian import ARCHITECTURES, Debian
from tools.bundle.target import GLIBC, BundleError, Target, locked

ROOT = Path(__file__).resolve().parents[2]
INSTALLER = Path(__file__).parent / "install.sh"
LOCK = ROOT / "requirements-board.lock"
TOOLS_LOCK = ROOT / "requirements-bundle.lock"
FORMAT = 1
"""Of the file BUNDLE; an installer refuses any other."""
ALSA = {"bookworm": "libasound2", "trixie": "libasound2t64"}
"""The package with ALSA's library, in each release."""
PROOF = "numpy msgspec yaml onnxruntime ai_edge_litert pymicro_features soundfile soxr hibari pyaudio"
"""What the installer imports before it takes an installation for good: all that has code for one processor in it."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle is for and made of, as its file BUNDLE says it."""

    version: str
    commit: str
    arch: str
    pythons: tuple[str, ...]
    glibc: str
    models: tuple[str, ...]
    kilobytes: int

    def write(self, path: Path) -> None:
        path.write_text(
            f"format={FORMAT}\n"
            f"version={self.version}\n"
            f"commit={self.commit}\n"
            f"arch={self.arch}\n"
            f"pythons={' '.join(self.pythons)}\n"
            f"glibc={self.glibc}\n"
            f"models={' '.join(self.models)}\n"
            f"kilobytes={self.kilobytes}\n"
            f"proof={PROOF}\n"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bundle", description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="a model store, of which all is taken")
    parser.add_argument("--work", type=Path, required=True, help="folder for what comes up on the way; kept")
    parser.add_argument("--into", type=Path, help="folder for the archive; without it the unpacked folder is kept")
    parser.add_argument(
        "--arch", choices=sorted(ARCHITECTURES), help="of the board; default: this machine, compiled here"
    )
    parser.add_argument("--pythons", default=" ".join(sound.SUITES), help="of the board, in the order of preference")
    args = parser.parse_args()
    try:
        print(make(args.models, args.work, args.into, args.arch, tuple(args.pythons.split())))
    except (BundleError, OSError) as error:
        print(f"bundle: error: {error}", file=sys.stderr)
        return 1
    return 0


def make(models: Path, work: Path, into: Path | None, arch: str | None, pythons: tuple[str, ...]) -> Path:
    """Make a bundle.

    Args:
        models: a model store.
        into: where the archive goes; None keeps the folder alone.
        arch: of the board; None is for this machine, with what can be compiled on it.

    Returns:
        The archive, or the folder.

    Raises:
        BundleError: it cannot be made. OSError: the disk is full, or the like.
    """
    if arch is None:
        pythons = (f"{sys.version_info[0]}.{sys.version_info[1]}",)
        glibc = platform.libc_ver()[1] or ".".join(map(str, GLIBC))
    else:
        glibc = ".".join(map(str, GLIBC))
        if unknown := [python for python in pythons if python not in sound.SUITES]:
            raise BundleError(
                f"Python {', '.join(unknown)}: there are headers to compile for only of {', '.join(sound.SUITES)}, "
                "those of Debian 12 and 13"
            )
    seconds = _seconds()
    work.mkdir(parents=True, exist_ok=True)
    own = _edgevoice(work, seconds)
    version = own.name.split("-")[1]
    folder = work / f"edgevoice-{version}-{arch or platform.machine()}"
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    shutil.copy(own, wheels)
    _fetch_pip(wheels, work)
    kilobytes = 0
    for python in pythons:
        _say(f"packages for Python {python}")
        target = Target(arch or platform.machine(), python)
        chosen = _compiled_here(work) if arch is None else _for_a_board(target, work)
        for wheel in chosen:
            shutil.copy(wheel, wheels)
        installed = sorted(wheels / wheel.name for wheel in [own, *chosen])
        (folder / f"wheels-{python}.txt").write_text("".join(f"./wheels/{wheel.name}\n" for wheel in installed))
        kilobytes = max(kilobytes, pack.unpacked_kilobytes(installed))
    if arch is not None:
        _system_packages(folder, arch, pythons, work)
    names = _models(models, folder / "models")
    Contents(
        version=version,
        commit=_commit(),
        arch=arch or platform.machine(),
        pythons=pythons,
        glibc=glibc,
        models=names,
        kilobytes=kilobytes + sum(path.stat().st_size for path in pack.files(folder / "models")) // 1024,
    ).write(folder / "BUNDLE")
    shutil.copy(INSTALLER, folder / "install.sh")
    (folder / "install.sh").chmod(0o755)
    pack.write_sums(folder)
    if into is None:
        return folder
    into.mkdir(parents=True, exist_ok=True)
    archive = into / f"{folder.name}.tar.gz"
    _say(f"packing {archive}")
    pack.write_archive(folder, archive, seconds)
    return archive


def _edgevoice(work: Path, seconds: int) -> Path:
    """The wheel of this checkout."""
    _say("packing up edgevoice")
    folder = work / "own"
    shutil.rmtree(folder, ignore_errors=True)
    # Where the locked one is not, pip fetches the newest one to build with.
    locked_one = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    pip(
        "wheel",
        "--quiet",
        "--no-deps",
        *locked_one,
        "--wheel-dir",
        folder,
        ROOT,
        env={"SOURCE_DATE_EPOCH": str(seconds)},
    )
    return only(list(folder.glob("*.whl")), "wheel of edgevoice")


def _fetch_pip(wheels: Path, work: Path) -> None:
    """pip itself: Debian has none unless it is asked for."""
    wanted = work / "pip.txt"
    wanted.write_text(locked(TOOLS_LOCK, Target(platform.machine(), "3.11"))["pip"])
    pip("download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", wheels, "-r", wanted)


def _for_a_board(target: Target, work: Path) -> list[Path]:
    folder = work / f"wheels-{target.arch}-{target.python}"
    shutil.rmtree(folder, ignore_errors=True)
    entries = locked(LOCK, target)
    del entries["pyaudio"]
    wanted = work / f"requirements-{target.arch}-{target.python}.txt"
    wanted.write_text("".join(entries.values()))
    pip("download", "--quiet", "--no-deps", "--require-hashes", *target.pip_options, "--dest", folder, "-r", wanted)
    _say(f"compiling PyAudio for {target.arch} and Python {target.python}")
    debian = Debian(sound.SUITES[target.python], target.arch, work / "debian")
    return [*folder.glob("*.whl"), sound.build(target, debian, LOCK, work / f"sound-{target.arch}-{target.python}")]


def _compiled_here(work: Path) -> list[Path]:
    """PyAudio compiled against the system's own PortAudio, all others ready-made."""
    folder = work / "wheels-here"
    shutil.rmtree(folder, ignore_errors=True)
    pip("wheel", "--quiet", "--no-deps", "--require-hashes", "--wheel-dir", folder, "-r", LOCK)
    return list(folder.glob("*.whl"))


def _system_packages(folder: Path, arch: str, pythons: tuple[str, ...], work: Path) -> None:
    """ALSA's library, for a board that has none: two packages that need nothing but glibc."""
    for python in pythons:
        suite = sound.SUITES[python]
        debian = Debian(suite, arch, work / "debian")
        packages = folder / "packages" / suite
        packages.mkdir(parents=True)
        for name in (ALSA[suite], "libasound2-data"):
            shutil.copy(debian.package(name), packages)


def _models(store: Path, target: Path) -> tuple[str, ...]:
    """Copy the models of a store, but not what it notes about this machine; what a board is to pull of them."""
    shutil.copytree(store, target, ignore=shutil.ignore_patterns(".*"))
    names = []
    for folder in sorted(path for path in target.glob("*@*") if path.is_dir()):
        name, _, version = folder.name.partition("@")
        # "@catalog" leaves a version of the board's own in use; a version that was published here comes to be in use.
        names.append(f"{name}@catalog" if re.fullmatch("[0-9a-f]{12}", version) else name)
    if not names:
        raise BundleError(f"{store}: there are no models in it")
    for stamp in target.rglob("edgevoice-stamp.json"):  # Times of files: others on the board.
        stamp.unlink()
    return tuple(names)


def _seconds() -> int:
    """The time that everything in the archive has: $SOURCE_DATE_EPOCH, or that of the commit."""
    if chosen := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(chosen)
    try:
        return int(run("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))
    except BundleError:  # An unpacked archive instead of a clone.
        return 315532800  # 1980-01-01, the earliest that a zip file can hold


def _commit() -> str:
    try:
        changed = run("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
        return run("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD").strip() + ("+changes" if changed else "")
    except BundleError:
        return "unknown"


def _say(what: str) -> None:
    print(f"bundle: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
