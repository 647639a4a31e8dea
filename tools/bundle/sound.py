"""A ready-made PyAudio, which the package index has for no Linux.

PortAudio is compiled into it, with ALSA as its only way to sound, and opens libasound when it is used, so that the
wheel needs nothing of the system but that library. ALSA itself is left to the system on purpose: its plugins, such as
the one for PulseAudio, fit the system's library only.

Compiled with Zig's C compiler, a Python package that compiles for any processor and any glibc without root, without
emulation and without a system to take libraries from. Sources: PyAudio's own from the package index, by the hash in the
lock file; PortAudio from Debian, with Debian's patch for a crash of its polling.
"""

import base64
import hashlib
import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

from tools.bundle.commands import only, pip, run
from tools.bundle.debian import Debian
from tools.bundle.pack import EARLIEST
from tools.bundle.target import GLIBC, BundleError, Target, locked

SUITES = {"3.11": "bookworm", "3.13": "trixie"}
"""The release of Debian with this Python: the headers are taken from there. Raspberry Pi OS has the same ones."""
PATCH = "944509-crash.patch"
"""The only one of Debian's patches. The other one adds what Audacity asks for, and calls ALSA past what was opened."""
DEFINES = (
    "-DNDEBUG",
    "-DPA_USE_ALSA=1",
    "-DPA_ALSA_DYNAMIC",
    '-DPA_ALSA_PATHNAME="libasound.so.2"',
    "-DPA_LITTLE_ENDIAN",
    "-DSIZEOF_SHORT=2",
    "-DSIZEOF_INT=4",
    "-DSIZEOF_LONG=8",
    "-DHAVE_CLOCK_GETTIME",
    "-DHAVE_NANOSLEEP",
)
"""What PortAudio's configure script finds out on 64-bit Linux."""


def build(target: Target, debian: Debian, lock: Path, work: Path) -> Path:
    """Compile PyAudio.

    Args:
        debian: the release of ``SUITES`` with the target's Python, for the target's processor.
        lock: the lock file with PyAudio.
        work: a folder for what comes up on the way.

    Returns:
        The wheel, in ``work``.

    Raises:
        BundleError: something could not be fetched or compiled.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    source = _pyaudio(target, lock, work)
    portaudio = debian.source("portaudio19", PATCH)
    python = debian.unpacked(f"libpython{target.python}-dev") / "usr/include"
    alsa = debian.unpacked("libasound2-dev") / "usr/include"
    for name, path in (("portaudio", portaudio), ("python", python), ("alsa", alsa)):
        (work / name).symlink_to(path)  # Relative paths on the command line: they can get into what is compiled.
    includes = ["alsa", "python", f"python/python{target.python}"]
    includes += [f"portaudio/{folder}" for folder in ("include", "src/common", "src/os/unix")]
    files = [
        path.relative_to(work)
        for folder in (
            source / "src/pyaudio",
            *(work / "portaudio/src" / f for f in ("common", "os/unix", "hostapi/alsa")),
        )
        for path in sorted(folder.glob("*.c"))
    ]
    run(
        *(sys.executable, "-m", "ziglang", "cc", "-target", f"{target.arch}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}"),
        # The oldest processors of the kind; warnings are PortAudio's business; zig's checks would need its runtime.
        *("-mcpu=baseline", "-O2", "-fPIC", "-shared", "-s", "-w", "-fno-sanitize=undefined", "-fvisibility=hidden"),
        *DEFINES,
        *(f"-I{folder}" for folder in includes),
        *files,
        *("-lpthread", "-lm", "-ldl", "-o", "_portaudio.so"),
        cwd=work,
        env={
            "ZIG_GLOBAL_CACHE_DIR": str(work.absolute().parent / "zig"),
            "ZIG_LOCAL_CACHE_DIR": str(work.absolute() / "zig"),
        },
    )
    _see_complete(work / "_portaudio.so")
    return _wheel(target, source, portaudio, work)


def _see_complete(library: Path) -> None:
    """See that nothing is asked for but what Python and glibc have: a board would find out at the first import."""
    missing = [
        symbol
        for symbol in re.findall(r" UND +(\S+)", run("readelf", "--dyn-syms", "--wide", library))
        if "@GLIBC" not in symbol and not re.match("_?Py|__gmon_start__|_ITM_|__cxa_finalize", symbol)
    ]
    if missing:
        raise BundleError(f"{library}: nobody has what it asks for: {', '.join(missing)}")


def _pyaudio(target: Target, lock: Path, work: Path) -> Path:
    """The unpacked source of PyAudio."""
    wanted = work / "pyaudio.txt"
    try:
        wanted.write_text(locked(lock, target)["pyaudio"])
    except KeyError:
        raise BundleError(f"{lock}: there is no pyaudio in it") from None
    pip("download", "--quiet", "--no-deps", "--no-binary=:all:", "--require-hashes", "--dest", work, "-r", wanted)
    with tarfile.open(only(list(work.glob("*.tar.gz")), "source of PyAudio")) as archive:
        archive.extractall(work, filter="data")
    return only([path for path in work.glob("PyAudio-*") if path.is_dir()], "folder of PyAudio")


def _wheel(target: Target, source: Path, portaudio: Path, work: Path) -> Path:
    name = source.name.lower()  # pyaudio-0.2.14
    tag = f"{target.tag}-{target.tag}-manylinux_{GLIBC[0]}_{GLIBC[1]}_{target.arch}"
    notes = f"{name}.dist-info"
    members = {
        "pyaudio/__init__.py": (source / "src/pyaudio/__init__.py").read_bytes(),
        "pyaudio/_portaudio.so": (work / "_portaudio.so").read_bytes(),
        f"{notes}/METADATA": (source / "PKG-INFO").read_bytes(),
        f"{notes}/WHEEL": f"Wheel-Version: 1.0\nGenerator: edgevoice\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
        f"{notes}/licenses/LICENSE.txt": (source / "LICENSE.txt").read_bytes(),
        f"{notes}/licenses/LICENSE-PortAudio.txt": (portaudio / "LICENSE.txt").read_bytes(),
    }
    record = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in members.items()]
    members[f"{notes}/RECORD"] = "\n".join([*record, f"{notes}/RECORD,,", ""]).encode()
    wheel = work / f"{name}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in members.items():
            info = zipfile.ZipInfo(path, EARLIEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if path.endswith(".so") else 0o100644) << 16
            archive.writestr(info, data)
    return wheel


def _digest(data: bytes) -> str:
    """As the RECORD of a wheel has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
