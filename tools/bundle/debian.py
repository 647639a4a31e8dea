"""Packages and sources of a Debian that is not the one of this machine, each checked against Debian's signatures.

apt does it, with folders of its own: nothing of this machine is changed, and it takes no root.
"""

import shutil
from pathlib import Path

from tools.bundle.commands import only, run
from tools.bundle.target import BundleError

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64"}
"""Debian's names."""


class Debian:
    """A release of Debian for one processor."""

    def __init__(self, suite: str, arch: str, work: Path) -> None:
        """
        Args:
            suite: ``bookworm``, ``trixie``.
            arch: as ``uname -m`` calls it.
            work: what is fetched is kept there.

        Raises:
            BundleError: apt or its keys are missing, or this machine knows no server of Debian's.
        """
        if not KEYS.is_file():
            raise BundleError(f"{KEYS} is missing: apt-get install debian-archive-keyring")
        self.suite = suite
        self._folder = work.absolute() / f"{suite}-{arch}"
        self._environment = {"APT_CONFIG": str(self._folder / "apt.conf")}
        for name in ("lists/partial", "cache/archives/partial", "packages"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        server = _server()
        (self._folder / "sources.list").write_text(
            f"deb [signed-by={KEYS}] {server} {suite} main\ndeb-src [signed-by={KEYS}] {server} {suite} main\n"
        )
        (self._folder / "apt.conf").write_text(
            f'Dir::State "{self._folder}";\n'
            'Dir::State::Lists "lists";\n'
            f'Dir::State::status "{self._folder}/status";\n'
            f'Dir::Cache "{self._folder}/cache";\n'
            f'Dir::Etc::SourceList "{self._folder}/sources.list";\n'
            'Dir::Etc::SourceParts "-";\n'
            f'APT::Architecture "{ARCHITECTURES[arch]}";\n'
            f'APT::Architectures {{ "{ARCHITECTURES[arch]}"; }};\n'
            'APT::Sandbox::User "";\n'  # The folders may be where no other user may go.
        )
        run("apt-get", "--quiet", "update", env=self._environment)

    def package(self, name: str) -> Path:
        """Fetch a package: a .deb file."""
        folder = self._folder / "packages" / name
        shutil.rmtree(folder, ignore_errors=True)  # An earlier version may be in it.
        folder.mkdir()
        run("apt-get", "--quiet", "download", name, cwd=folder, env=self._environment)
        return only(list(folder.glob("*.deb")), f"package {name}")

    def unpacked(self, name: str) -> Path:
        """Fetch a package and unpack it; the folder that stands for the root of the system."""
        package = self.package(name)
        run("dpkg-deb", "--extract", package, package.parent / "root")
        return package.parent / "root"

    def source(self, name: str, *patches: str) -> Path:
        """Fetch the source of a package, and apply some of Debian's patches to it; its folder."""
        folder = self._folder / "source" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run("apt-get", "--quiet", "source", "--download-only", name, cwd=folder, env=self._environment)
        description = only(list(folder.glob("*.dsc")), f"source of {name}")
        # apt-get has checked its signature and its sums, also of the archives that it names.
        run("dpkg-source", "--no-check", "--skip-patches", "--extract", description, "unpacked", cwd=folder)
        for patch in patches:
            run("patch", "--strip=1", f"--input=debian/patches/{patch}", cwd=folder / "unpacked")
        return folder / "unpacked"


def _server() -> str:
    """Where this machine has its packages from."""
    found = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian")
    # Security updates have a server of their own, without the releases.
    servers = [line for line in found.splitlines() if line.rstrip("/").endswith("/debian")]
    if not servers:
        raise BundleError("this machine has no lists of Debian's packages: run apt-get update, on a Debian")
    return servers[0]
