#!/usr/bin/env bash
# Try a bundle for 64-bit Arm where it is meant to be used: in a bare Debian with nothing but Python, without a network
# and without a compiler; on an emulated processor, in Debian 12 (Python 3.11) and 13 (3.13). In each it is
#
#   refused when damaged, and installed when whole;
#   used: edgevoice doctor, the configuration, and the demonstration, in which spoken commands must be understood;
#   upgraded, also after an upgrade that was killed: programs are replaced, configuration and state stay;
#   removed, after which nothing may be left but the configuration.
#
#   tools/try_bundle.sh FOLDER BUNDLE.tar.gz [SUITE...]
#
# FOLDER gets the systems (made once and kept) and what came out of the trial ('out'). It takes root, and the packages
# debootstrap and qemu-user-static; CPU names the processor: see tools/arm_tree.sh.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
. "$repository/tools/arm_tree.sh"

fail() {
  echo "try_bundle: $*" >&2
  exit 1
}

title=preparation
trap '[[ $? -eq 0 ]] || echo "try_bundle: failed in: $title" >&2' EXIT
[[ $# -ge 2 && -f $2 ]] || fail "usage: tools/try_bundle.sh FOLDER BUNDLE.tar.gz [SUITE...]"
need_emulation
mkdir -p "$1/out"
folder=$(cd "$1" && pwd)
bundle=$(realpath "$2")
shift 2
suites=("$@")
[[ ${#suites[@]} -gt 0 ]] || suites=(bookworm trixie)
name=$(basename "$bundle" .tar.gz)
out=$folder/out
# These change by themselves, or by what dpkg notes about the packages that came and went.
unstable='^(/proc|/sys|/dev|/tmp|/root/bundle|/root/newer|/var/log|/var/lib/dpkg|/var/cache/(ldconfig|debconf|apt)|/etc/ld.so.cache|/.*/__pycache__)(/|$)'

step() { # step TITLE COMMAND...: run it, and say how long it took
  local start=$SECONDS
  title="$suite: $1"
  shift
  echo "== $title"
  "$@" # never in a condition: within one the shell goes on after a failure
  echo "-- $title: $((SECONDS - start)) s" | tee -a "$out/times.txt"
}

inside() { enter "$tree" root /root "$*"; }

listing() { (cd "$tree" && find . -mindepth 1 | sed 's/^\.//' | grep -vE "$unstable" | sort); }

prepare() {
  bootstrap "$suite" "$folder/$suite" python3
  rm -rf "$tree"
  cp -a "$folder/$suite" "$tree"
  listing >"$out/$suite-before.txt"
  if inside 'command -v cc gcc pip pip3'; then fail "this system has a compiler or pip: it proves nothing"; fi
  inside 'ls /sys/class/net; ! python3 -c "import socket; socket.create_connection((\"192.0.2.1\", 80), 3)" 2>/dev/null'
  mkdir "$tree/root/bundle"
  tar xzf "$bundle" -C "$tree/root/bundle"
}

refuse_damaged() {
  local victim
  victim=$(cd "$tree/root/bundle/$name" && echo wheels/numpy*.whl | cut -d ' ' -f 1)
  printf 'x' | dd of="$tree/root/bundle/$name/$victim" bs=1 seek=1000 conv=notrunc status=none
  if inside "bundle/$name/install.sh" >"$out/$suite-damaged.txt" 2>&1; then fail "a damaged bundle was installed"; fi
  grep -F "$victim" "$out/$suite-damaged.txt"
  [[ ! -e $tree/opt/edgevoice ]] || fail "it was refused, and something is in /opt/edgevoice"
  tar xzf "$bundle" -C "$tree/root/bundle" "$name/$victim"
}

install() {
  inside "bundle/$name/install.sh" 2>&1 | tee "$out/$suite-install.txt"
  inside 'edgevoice --version'
  du -sm "$tree/opt/edgevoice" "$tree/var/lib/edgevoice"
}

use() {
  inside 'edgevoice doctor --no-sound' | tee "$out/$suite-doctor.txt"
  inside 'mkdir -p /etc/edgevoice && cat /etc/edgevoice/edgevoice.yaml 2>/dev/null || echo "{}" >/etc/edgevoice/edgevoice.yaml'
  inside 'cd /tmp && edgevoice run --demo --output /tmp/reply.wav --json' >"$out/$suite-turn.jsonl" 2>"$out/$suite-turn.log"
  understood
}

understood() {
  python3 - "$out/$suite-turn.jsonl" <<'END'
import json, sys

events = [json.loads(line) for line in open(sys.argv[1])]
intents = [(event["intent"], event["slots"]) for event in events if event["event"] == "intentmatched"]
print(intents, [event["text"] for event in events if event["event"] == "reply"])
assert len(intents) == 2, "two commands were spoken"
assert intents[0][0] == "LightOn" and "kitchen" in str(intents[0][1]), "the first was for the kitchen light"
END
}

newer_bundle() { # as if it had been made of a newer checkout
  cp -al "$tree/root/bundle" "$tree/root/newer"
  sed -i.old 's/^commit=.*/commit=newer/' "$tree/root/newer/$name/BUNDLE"
  rm "$tree/root/newer/$name/BUNDLE.old"
  (cd "$tree/root/newer/$name" && find . -type f ! -name 'SHA256SUMS*' -printf '%P\n' | LC_ALL=C sort |
    xargs sha256sum >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS)
}

upgrade_killed() {
  newer_bundle
  # Killed without a word, as by a power cut, in the middle of the packages: with this shell all of its system ends.
  # shellcheck disable=SC2016 # expanded by the inner shell
  inside 'newer/'"$name"'/install.sh --no-service & until [ $(ls -d /opt/edgevoice/releases/*/lib/*/site-packages/numpy | wc -l) = 2 ]; do
    kill -0 $! || exit 1; sleep 0.2; done' >"$out/$suite-killed.txt" 2>&1 || fail "it was done before it could be killed"
  ls "$tree/opt/edgevoice/releases"
  [[ $(find "$tree/opt/edgevoice/releases" -mindepth 1 -maxdepth 1 | wc -l) -eq 2 ]] || fail "nothing was half installed: it proves nothing"
  ! grep -qx commit=newer "$tree/opt/edgevoice/installed" || fail "it was done: it proves nothing"
  inside 'edgevoice --version && edgevoice doctor --no-sound >/dev/null'
}

upgrade() {
  local config state=/var/lib/edgevoice/kept.json
  config=$(sha256sum <"$tree/etc/edgevoice/edgevoice.yaml")
  echo '{"muted": true}' >"$tree$state"
  inside "newer/$name/install.sh" 2>&1 | tee "$out/$suite-upgrade.txt"
  [[ $(sha256sum <"$tree/etc/edgevoice/edgevoice.yaml") == "$config" ]] || fail "the configuration was changed"
  [[ -s $tree$state ]] || fail "the state is gone"
  [[ $(find "$tree/opt/edgevoice/releases" -mindepth 1 -maxdepth 1 | wc -l) -eq 1 ]] || fail "more than one release is left"
  grep -qx commit=newer "$tree/opt/edgevoice/installed" || fail "it is not the newer one"
  inside 'edgevoice doctor --no-sound >/dev/null'
}

uninstall() {
  inside /opt/edgevoice/uninstall.sh 2>&1 | tee "$out/$suite-uninstall.txt"
  listing >"$out/$suite-after.txt"
  local changed # diff says by its exit code that there is a difference, as there must be
  changed=$(diff "$out/$suite-before.txt" "$out/$suite-after.txt" | grep '^[<>]' | grep -vE ' /etc/edgevoice(/edgevoice.yaml)?$' || true)
  [[ -z $changed ]] || fail "this is left (>), or was taken away (<): $changed"
  [[ -f $tree/etc/edgevoice/edgevoice.yaml ]] || fail "the configuration is gone"
  echo "nothing is left but /etc/edgevoice"
}

: >"$out/times.txt"
network=no
register_emulator
describe_processor
sha256sum "$bundle" | tee "$out/bundle.txt"
for suite in "${suites[@]}"; do
  tree=$folder/$suite-tried
  step "a bare system" prepare
  step "a damaged bundle" refuse_damaged
  step "install" install
  step "use" use
  step "an upgrade that is killed" upgrade_killed
  step "upgrade" upgrade
  step "uninstall" uninstall
  rm -rf "$tree"
done
echo "== all well; times and results are in $out"
