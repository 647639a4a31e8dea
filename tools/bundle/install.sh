#!/bin/sh
# Install edgevoice from the bundle that this script lies in, or bring an installation up to date. It takes no network
# and no compiler. A copy of this script in the installation, uninstall.sh, removes it.
#
# What is installed is made beside what is there, tried, and then put in its place by renaming one symbolic link:
#
#   PREFIX/releases/NAME/    Python packages; only one release stays
#   PREFIX/current           -> releases/NAME
#   PREFIX/bin/edgevoice     starts the current release with the models below; BIN/edgevoice is a link to it
#   PREFIX/installed         what the rest was installed with
#   STATE/models/            models, and what the service keeps beside them
set -eu

usage() {
  cat <<END
usage: install.sh [--prefix DIR] [--state DIR] [--bin DIR] [--python PYTHON] [--no-service]
       install.sh --check
       uninstall.sh [--prefix DIR]

  --prefix DIR     where the programs go; default: /opt/edgevoice
  --state DIR      where models and state go; default: /var/lib/edgevoice
  --bin DIR        where the command edgevoice goes; default: /usr/local/bin
  --python PYTHON  which Python to use; default: the first one that this bundle has packages for
  --no-service     install no system service; then it does not take root
  --check          only see whether this bundle is whole and fits this machine

Run it again, from a newer bundle, to bring an installation up to date: configuration and state stay.
END
}

say() { echo "edgevoice: $*"; }

fail() {
  echo "edgevoice: error: $*" >&2
  exit 1
}

entry() { # entry FILE KEY: its value in a file of lines KEY=VALUE
  sed -n "s/^$2=//p" "$1"
}

before() { # before KEY: of what is installed already
  [ ! -f "$prefix/installed" ] || entry "$prefix/installed" "$1"
}

absolute() { # absolute PATH: without looking at what is there
  case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s/%s\n' "$PWD" "$1" ;;
  esac
}

# Whether all of this is what was packed, and for a machine like this one

check_bundle() {
  for file in BUNDLE SHA256SUMS; do
    [ -f "$here/$file" ] || fail "$here/$file is missing: unpack the whole archive again, and run install.sh in it"
  done
  # What for is looked at first, because it takes no time. That it is not damaged is seen to next.
  [ "$(entry "$here/BUNDLE" format)" = 1 ] || fail "$here/BUNDLE is damaged, or of another kind than this install.sh: copy the archive again"
  check_processor
  say "checking the bundle"
  if ! damage=$(cd "$here" && LC_ALL=C sha256sum --check --quiet SHA256SUMS 2>&1); then
    fail "this bundle is damaged: copy the archive to this machine again, and unpack it anew
$damage"
  fi
  check_glibc
  find_python
}

check_processor() {
  arch=$(entry "$here/BUNDLE" arch)
  machine=$(uname -m)
  [ "$machine" = "$arch" ] || fail "this bundle is for $arch and this machine is $machine: make one for it with: make bundle ARCH=$machine"
}

check_glibc() {
  needed=$(entry "$here/BUNDLE" glibc)
  found=$(getconf GNU_LIBC_VERSION 2>/dev/null) || fail "this system has no glibc, which the packages of this bundle need ($needed or newer)"
  found=${found#glibc }
  oldest=$(printf '%s\n%s\n' "$needed" "$found" | sort -V | head -n 1)
  [ "$oldest" = "$needed" ] || fail "this system has glibc $found and this bundle needs $needed or newer: it takes a newer system"
}

python_version() { # python_version COMMAND: such as 3.11, or nothing
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

find_python() { # into $python and $python_is
  pythons=$(entry "$here/BUNDLE" pythons)
  if [ -n "$python" ]; then
    command -v "$python" >/dev/null || fail "there is no $python"
    candidates=$python
  else
    candidates=python3
    for version in $pythons; do candidates="$candidates python$version"; done
  fi
  seen=
  for candidate in $candidates; do
    python_is=$(python_version "$candidate")
    [ -n "$python_is" ] || continue
    case " $pythons " in
      *" $python_is "*)
        python=$(command -v "$candidate")
        check_python
        return
        ;;
    esac
    seen="$seen $candidate is $python_is;"
  done
  fail "this bundle has packages for Python $pythons; here${seen:- there is none}${seen:+ no other was found}. Install one of these, or name it with --python"
}

check_python() {
  "$python" -c 'import sys; sys.exit(sys.maxsize < 2**32)' ||
    fail "$python has 32 bits, and so has this system, whatever its kernel: there is no ONNX Runtime for it. Raspberry Pi 3, Zero 2 and newer run the 64-bit Raspberry Pi OS"
  "$python" -c 'import venv, zipimport, ctypes' 2>/dev/null ||
    fail "$python is not a whole Python (venv is missing): install the package python3"
}

# Whether there is a place for it

check_places() {
  case $prefix$state$bin in
    *[[:space:]]*) fail "$prefix, $state, $bin: a path with a space in it does not do: programs begin with the path of their Python" ;;
  esac
  if [ "$service" = yes ]; then
    [ "$(id -u)" = 0 ] || fail "this takes root: run it with sudo; or install for yourself with --no-service --prefix DIR --state DIR --bin DIR"
    case $prefix/$state/ in
      /home/* | /root/* | */home/*/ | */root/*/) fail "$prefix, $state: the service sees nothing in home folders; choose other places with --prefix and --state" ;;
    esac
  fi
  for folder in "$prefix" "$state" "$bin"; do
    if ! mkdir -p "$folder" 2>/dev/null || [ ! -w "$folder" ]; then
      fail "$folder: it cannot be written: run this with sudo, or choose other places with --prefix, --state and --bin"
    fi
  done
  # Whatever is in these two is removed with edgevoice one day.
  if [ ! -f "$prefix/installed" ]; then
    foreign=$(find "$prefix" -mindepth 1 -maxdepth 1 ! -name releases ! -name .lock | head -n 1)
    [ -z "$foreign" ] || fail "$prefix: there is something else in it: $foreign; choose another place with --prefix"
  fi
  if [ "$state" != "$(before state)" ] && [ "$state" != "$default_state" ]; then
    foreign=$(find "$state" -mindepth 1 -maxdepth 1 ! -name models | head -n 1)
    [ -z "$foreign" ] || fail "$state: there is something else in it: $foreign; choose another place with --state"
  fi
  if [ -e "$bin/edgevoice" ] || [ -L "$bin/edgevoice" ]; then
    [ "$(readlink "$bin/edgevoice")" = "$prefix/bin/edgevoice" ] ||
      fail "$bin/edgevoice is there, and not from here: remove it, or choose another place with --bin"
  fi
  check_room
}

check_room() {
  needed=$(entry "$here/BUNDLE" kilobytes)
  free=$(df -Pk "$prefix" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$needed" ] || fail "$prefix: the disk has $((free / 1024)) MB left and this needs $((needed / 1024)) MB: make room"
}

# ALSA's library is the only one that the packages take from the system and that a bare system can lack.
install_alsa() {
  PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -q 'libasound\.so\.2' && return
  suite=$([ ! -r /etc/os-release ] || entry /etc/os-release VERSION_CODENAME)
  if [ "$(id -u)" = 0 ] && [ -n "$suite" ] && [ -d "$here/packages/$suite" ] && command -v dpkg >/dev/null; then
    names=$(for file in "$here/packages/$suite"/*.deb; do dpkg-deb --field "$file" Package; done | tr '\n' ' ')
    say "installing system packages: $names"
    # They ask nothing, and nothing that is there is changed: the library was not.
    DEBIAN_FRONTEND=noninteractive dpkg --install "$here/packages/$suite"/*.deb >/dev/null || fail "dpkg could not install $names"
    packages=${packages:+$packages }${names% }
  else
    say "warning: libasound.so.2 is missing: there will be no microphone and no speaker until you install it (Debian: libasound2)"
  fi
}

# Installing

install() {
  umask 022
  check_bundle
  if [ "$action" = check ]; then
    say "this bundle is whole, and $python ($python_is) can run it"
    return
  fi
  # As it was installed before, unless told otherwise.
  : "${state:=$(before state)}" "${bin:=$(before bin)}"
  : "${state:=$default_state}" "${bin:=/usr/local/bin}"
  : "${service:=$(before service)}"
  : "${service:=yes}"
  packages=$(before packages)
  check_places
  if [ "$service" = yes ] && ! has_systemd; then
    say "warning: systemd does not run here, so that there will be no service; start 'edgevoice run' by other means"
    service=no
  fi
  exec 9>"$prefix/.lock"
  flock --nonblock 9 || fail "another installation is going on in $prefix"
  release=$(readlink "$prefix/current" || true)
  release=${release#releases/}
  remove_releases "$release" # What an installation left that was cut short.

  name=$(entry "$here/BUNDLE" version)-$(sha256sum "$here/SHA256SUMS" | cut -c 1-12)
  [ "$name" != "$release" ] || name=$name-again
  new=$prefix/releases/$name
  trap 'rm -rf "$new"' EXIT
  trap 'exit 130' INT TERM HUP
  make_release

  # Models of the release before stay until that is no longer in use.
  say "installing models in $state/models"
  # shellcheck disable=SC2046 # a list of words
  EDGEVOICE_MODELS=$here/models "$new/bin/edgevoice" models pull --quiet --keep-outdated --into "$state/models" \
    $(entry "$here/BUNDLE" models) >/dev/null

  install_alsa # Here, so that what it installs is written down in the next step.
  sync
  mkdir -p "$prefix/bin"
  write "$prefix/installed" 644 <<END
version=$(entry "$here/BUNDLE" version)
commit=$(entry "$here/BUNDLE" commit)
state=$state
bin=$bin
service=$service
packages=$packages
END
  write "$prefix/bin/edgevoice" 755 <<END
#!/bin/sh
export EDGEVOICE_MODELS="\${EDGEVOICE_MODELS-$state/models}"
exec $prefix/current/bin/edgevoice "\$@"
END
  write "$prefix/uninstall.sh" 755 <"$here/install.sh"
  point "$prefix/current" "releases/$name"
  trap - EXIT # From here on it is installed.
  point "$bin/edgevoice" "$prefix/bin/edgevoice"
  sync
  say "$("$prefix/bin/edgevoice" --version) is installed in $prefix"

  if [ "$service" = yes ]; then
    "$prefix/bin/edgevoice" service install ||
      fail "edgevoice is installed, but its service is not, or does not run; when that is mended, type: sudo edgevoice service install"
  fi
  remove_releases "$name"
  EDGEVOICE_MODELS=$state/models "$prefix/bin/edgevoice" models prune
}

make_release() {
  say "installing packages for Python $python_is in $new"
  mkdir -p "$prefix/releases"
  "$python" -m venv --without-pip "$new"
  pip=$(echo "$here"/wheels/pip-*.whl)/pip
  if ! said=$(cd "$here" && "$new/bin/python" "$pip" --isolated --disable-pip-version-check install --quiet --no-index --no-deps \
    --no-cache-dir --root-user-action=ignore --requirement "wheels-$python_is.txt" 2>&1); then
    fail "the packages could not be installed: $said"
  fi
  # That all is there says nothing about whether this processor and this system can run it.
  # shellcheck disable=SC2046 # a list of words
  if ! said=$("$new/bin/python" -c '
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
' edgevoice $(entry "$here/BUNDLE" proof) 2>&1); then
    fail "what was installed does not run here, and was removed again: $said"
  fi
}

write() { # write PATH MODE: a whole file from the standard input, or none
  cat >"$1.new"
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1"
}

point() { # point LINK TARGET: at every moment the link leads to the one or to the other
  rm -f "$1.new"
  ln -s "$2" "$1.new"
  mv -fT "$1.new" "$1"
}

remove_releases() { # remove_releases NAME: all but this one
  for folder in "$prefix/releases"/*; do
    [ "$folder" = "$prefix/releases/$1" ] || rm -rf "$folder"
  done
}

has_systemd() { [ -n "$(systemctl show --property=Version --value 2>/dev/null || true)" ]; }

# Removing

uninstall() {
  [ -f "$prefix/installed" ] || fail "$prefix: edgevoice is not installed there; say where with --prefix"
  state=$(before state) bin=$(before bin) packages=$(before packages)
  if [ ! -w "$prefix" ] || { [ "$(before service)" = yes ] && [ "$(id -u)" != 0 ]; }; then
    fail "$prefix: this takes root: run it with sudo"
  fi
  if [ "$(before service)" = yes ]; then
    "$prefix/bin/edgevoice" service uninstall || fail "the service could not be removed; nothing else was"
  fi
  [ "$(readlink "$bin/edgevoice" || true)" != "$prefix/bin/edgevoice" ] || rm -f "$bin/edgevoice"
  rm -rf "$state" "$prefix/current" "$prefix/releases" "${prefix:?}/bin" "$prefix/uninstall.sh" "$prefix/.lock"
  # Last, so that it can be run again when it was cut short.
  rm -f "$prefix/installed"
  rmdir "$prefix" 2>/dev/null || true
  # Others may need them by now: dpkg refuses then, and they stay.
  # shellcheck disable=SC2086 # a list of words
  [ -z "$packages" ] || dpkg --purge $packages >/dev/null 2>&1 || say "of the system packages $packages, some stay: others need them"
  say "edgevoice is removed from $prefix, $state and $bin"
  if [ -e "$config" ]; then say "your configuration is left: $config"; fi
}

main() {
  here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
  config=/etc/edgevoice default_state=/var/lib/edgevoice
  action=install prefix=/opt/edgevoice state='' bin='' python='' service='' packages=''
  case $0 in
    *uninstall.sh) action=uninstall prefix=$here ;;
  esac
  while [ $# -gt 0 ]; do
    case $1 in
      --prefix | --state | --bin | --python) [ $# -ge 2 ] || fail "$1: what is missing" ;;
    esac
    case $1 in
      --prefix) prefix=$(absolute "$2") && shift ;;
      --state) state=$(absolute "$2") && shift ;;
      --bin) bin=$(absolute "$2") && shift ;;
      --python) python=$2 && shift ;;
      --no-service) service=no ;;
      --check) action=check ;;
      --uninstall) action=uninstall ;;
      -h | --help) usage && exit ;;
      *) usage >&2 && fail "$1: there is no such option" ;;
    esac
    shift
  done
  case $action in
    uninstall) uninstall ;;
    *) install ;;
  esac
}

# All of it has been read by now: an uninstall removes the very file.
main "$@"
