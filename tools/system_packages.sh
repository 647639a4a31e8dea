#!/usr/bin/env bash
# Install the system packages that are missing, and only those. Whether one is missing is found out by looking for what
# it is needed for, so that a Python or a PortAudio from elsewhere counts too.
#
#   tools/system_packages.sh run    what it takes to install and run edgevoice
#   tools/system_packages.sh test   what its tests need beside that: a virtual sound card, a voice of another kind,
#                                 a browser, and a checker of shell scripts
#   tools/system_packages.sh system what it takes to boot a Debian in a folder, for make test-system
#   tools/system_packages.sh bundle what it takes to make a bundle beside that: unpacking Debian's packages
#   tools/system_packages.sh arm    what it takes to try one: a Debian for Arm in a folder, and an emulated processor
#   tools/system_packages.sh faults what python -m tools.faults needs: a virtual sound card, and a clock that can jump
set -euo pipefail

python=${PYTHON:-python3}
missing=()

need() { # need PACKAGE COMMAND...: the package is missing when the command fails
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}

library() { # library NAME: whether the loader finds lib NAME
  local cache
  cache=$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null) || return 1
  grep -q "/$1" <<<"$cache"
}

python_header() {
  "$python" -c 'import pathlib, sysconfig; assert pathlib.Path(sysconfig.get_path("include"), "Python.h").is_file()'
}

browser() { # Any of these is spoken to in the same way.
  command -v chromium || command -v chromium-browser || command -v google-chrome
}

pulse_for_alsa() { # ALSA programs reach PulseAudio or PipeWire through this plugin.
  compgen -G '/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so'
}

sound_card() {
  need pulseaudio command -v pulseaudio
  need pulseaudio-utils command -v pactl
  need libasound2-plugins pulse_for_alsa
}

case ${1:-run} in
  run) ;;
  test)
    sound_card
    need espeak-ng command -v espeak-ng
    need chromium browser
    need shellcheck command -v shellcheck
    ;;
  system)
    need mmdebstrap command -v mmdebstrap
    need systemd-container command -v systemd-nspawn
    ;;
  bundle)
    need dpkg-dev command -v dpkg-source
    need debian-archive-keyring test -e /usr/share/keyrings/debian-archive-keyring.gpg
    ;;
  arm)
    need debootstrap command -v debootstrap
    need qemu-user-static command -v qemu-aarch64-static
    ;;
  faults)
    sound_card
    need faketime compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1'
    ;;
  *)
    echo "usage: $0 run|test|system|bundle|arm|faults" >&2
    exit 2
    ;;
esac

need python3 command -v "$python"
need python3-venv "$python" -c 'import ensurepip, venv'
need libportaudio2 library libportaudio.so.2
# PyAudio has no ready-made package for Linux: pip compiles it.
need portaudio19-dev test -e /usr/include/portaudio.h
need gcc command -v cc
need libc6-dev test -e /usr/include/stdio.h
need python3-dev python_header
case $(uname -m) in
  arm* | aarch64) need libatomic1 library libatomic.so.1 ;;
esac
if command -v pulseaudio pipewire-pulse >/dev/null 2>&1; then
  [[ " ${missing[*]-} " == *" libasound2-plugins "* ]] || need libasound2-plugins pulse_for_alsa
fi

if [[ ${#missing[@]} -eq 0 ]]; then
  exit 0
fi

line="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "These are missing, by their Debian names: ${missing[*]}" >&2
  echo "Install what your system calls them, then type the same command again." >&2
  exit 1
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  # With a terminal sudo can ask for the password; without one it must not need any.
  if command -v sudo >/dev/null && { [[ -t 0 && -t 2 ]] || sudo -n true 2>/dev/null; }; then
    as_root=(sudo)
  else
    echo "System packages are missing, and installing them takes root. Type as root:" >&2
    echo "  apt-get update && $line" >&2
    exit 1
  fi
fi

echo "Installing system packages: ${missing[*]}"
install() {
  # shellcheck disable=SC2086 # the line is made of words
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $line
}
# The package list may be empty (a fresh container) or too old for what the server has: then it is fetched, once.
if ! install; then
  echo "Fetching the list of packages and trying again."
  "${as_root[@]}" apt-get update
  install
fi
