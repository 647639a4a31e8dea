#!/usr/bin/env bash
# Try this checkout on another processor: a fresh Debian 12 for 64-bit Arm, emulated, in which a new user without sudo
# clones the project and types what the README says. It proves that everything installs, builds and understands there;
# an emulated processor says nothing about speed.
#
#   tools/try_aarch64.sh FOLDER [RECORDING...]
#
# FOLDER gets the system (1 GB; 'tree' in it, made once and kept) and what came out of the trial ('out'). What is
# committed is tried. The recordings are transcribed beside those that the trial makes itself; where this checkout has
# a .venv, both machines must understand the same.
#
# It takes root, and the packages debootstrap and qemu-user-static. CPU names the processor: cortex-a53 (Raspberry Pi 3
# and Zero 2, the least that edgevoice is made for) unless told, cortex-a72 (4) or cortex-a76 (5). Packages come from where
# this machine gets its own.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
suite=bookworm
. "$repository/tools/arm_tree.sh"

fail() {
  echo "try_aarch64: $*" >&2
  exit 1
}

title=preparation
trap '[[ $? -eq 0 ]] || echo "try_aarch64: failed in: $title" >&2' EXIT
[[ $# -ge 1 ]] || fail "usage: tools/try_aarch64.sh FOLDER [RECORDING...]"
need_emulation
mkdir -p "$1/out"
folder=$(cd "$1" && pwd)
shift
tree=$folder/tree
out=$folder/out
home=/home/newcomer
checkout=$home/edgevoice

step() { # step TITLE COMMAND...: run it, and say how long it took
  local start=$SECONDS
  title=$1
  shift
  echo "== $title"
  "$@" # never in a condition: within one the shell goes on after a failure
  echo "-- $title: $((SECONDS - start)) s" | tee -a "$out/times.txt"
}

make_tree() {
  [[ ! -e $tree/.made ]] || return 0
  bootstrap "$suite" "$tree" ""
  if [[ -e /etc/apt/sources.list.d/debian.sources ]]; then
    rm -f "$tree/etc/apt/sources.list"
    cp /etc/apt/sources.list.d/debian.sources "$tree/etc/apt/sources.list.d/"
  fi
  apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$tree/etc/apt/apt.conf.d/90host" || true
  # Kept out, the archives would be half of the tree.
  echo 'APT::Keep-Downloaded-Packages "false";' >"$tree/etc/apt/apt.conf.d/91trial"
  cp /etc/resolv.conf "$tree/etc/resolv.conf"
  # What a newcomer has who can clone at all.
  inside root / 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends git make ca-certificates' \
    >"$out/apt.log" 2>&1
  cp /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
  inside root / 'useradd --create-home --shell /bin/bash newcomer'
  touch "$tree/.made"
}

inside() { # inside USER FOLDER COMMANDS
  enter "$tree" "$@"
}

clone() {
  rm -rf "${tree:?}$home"
  inside root / "mkdir $home && chown newcomer:newcomer $home"
  git -C "$repository" bundle create --quiet "$tree/tmp/edgevoice.bundle" HEAD "$(git -C "$repository" branch --show-current)"
  inside newcomer "$home" 'git clone --quiet /tmp/edgevoice.bundle edgevoice'
  git -C "$repository" log -1 --format='%h %s' | tee "$out/commit.txt"
}

# Without root and without sudo the line to type is all that can be had; it is then typed as it stands.
refuse_and_install() {
  local line
  if inside newcomer "$checkout" 'tools/system_packages.sh run' >/dev/null 2>&1; then
    echo "an earlier trial in this tree installed them"
    return
  fi
  if inside newcomer "$checkout" 'make run' >"$out/refused.txt" 2>&1; then
    fail "make run went on without what it needs: see $out/refused.txt"
  fi
  line=$(grep -oE 'apt-get update && apt-get install .*' "$out/refused.txt") || fail "no line to type: $(cat "$out/refused.txt")"
  echo "$line"
  inside root / "$line" >"$out/packages.log" 2>&1
}

say() {
  inside newcomer "$checkout" '.venv/bin/edgevoice say "The kitchen light is on." -o out.wav'
  cp "$tree$checkout/out.wav" "$out/say.wav"
}

turn() { # the demonstration, made by itself as there is no sound card; then the same recording as a file
  inside newcomer "$checkout" 'make run' 2>&1 | tee "$out/demonstration.txt"
  inside newcomer "$checkout" 'make run INPUT=command.wav OUTPUT=again.wav ARGS=--json' >"$out/turn.jsonl" 2>"$out/turn.log"
  cp "$tree$checkout/"{command,reply,again}.wav "$out/"
}

transcribe() {
  local recording
  for recording in "$@"; do
    cp "$recording" "$tree$checkout/"
    inside newcomer "$checkout" ".venv/bin/edgevoice transcribe --json '$(basename "$recording")'"
  done | tee "$out/transcripts.jsonl"
}

# What was understood, one line per event; with 'all', also when and which partial texts. Times taken are left out.
events() {
  python3 -c '
import json, sys
for line in sys.stdin:
    if not line.startswith("{"):  # what make does
        continue
    event = json.loads(line)
    keys = ["event", "phrase", "text", "intent", "slots", "outcome"] + ["at"] * (sys.argv[1] == "all")
    if event["event"] in ("wake", "transcript", "intentmatched", "actiondone", "reply", "turnended") or "at" in keys:
        print(*(event[key] for key in keys if key in event))
' "$1"
}

length() { # seconds of a WAV file that is not silent
  python3 -c '
import array, sys, wave
with wave.open(sys.argv[1]) as file:
    samples = array.array("h", file.readframes(file.getnframes()))
    assert max(samples) > 3000, "it is silent"
    print(len(samples) / file.getnchannels() / file.getframerate())
' "$1"
}

same() { # same WHAT HERE THERE: the two texts must be equal
  diff --label "this machine" --label "$cpu" <(echo "$2") <(echo "$3") || fail "$1: different from what it is here"
  echo "$1: the same on both machines"
}

model_sums() { # model_sums FOLDER: of the models that edgevoice built itself
  (cd "$1" && sha256sum whisper-tiny.en-int8@*/*.{onnx,json} | grep -v edgevoice- | awk '{print $2, $1}')
}

check() {
  grep -q 'LightOn {.*kitchen' <(events some <"$out/turn.jsonl") || fail "the command was not understood: see $out/turn.jsonl"
  for file in say reply again; do
    echo "$file.wav: $(length "$out/$file.wav") s"
  done
  inside newcomer "$checkout" '.venv/bin/edgevoice models verify'
  inside newcomer "$checkout" 'du -sm .venv ~/.local/share/edgevoice/models' | tee "$out/sizes.txt"
  model_sums "$tree$home/.local/share/edgevoice/models" | tee "$out/models.sha256"
}

compare() { # the same on this machine; words that differ fail, positions, long transcripts and bytes of models are shown
  local edgevoice=$repository/.venv/bin/edgevoice here=$out/here store common
  mkdir -p "$here"
  "$edgevoice" models pull 2>/dev/null
  "$edgevoice" say "The kitchen light is on." -o "$here/say.wav"
  "$edgevoice" run --input "$out/command.wav" --output "$here/again.wav" --json >"$here/turn.jsonl" 2>"$here/turn.log"
  for file in say again; do
    echo "$file.wav: $(length "$here/$file.wav") s here, $(length "$out/$file.wav") s there"
  done
  same "what was understood" "$(events some <"$here/turn.jsonl")" "$(events some <"$out/turn.jsonl")"
  diff <(events all <"$here/turn.jsonl") <(events all <"$out/turn.jsonl") || echo "(above: events that differ otherwise)"
  if [[ $# -gt 0 ]]; then
    for recording in "$@"; do
      (cd "$(dirname "$recording")" && "$edgevoice" transcribe --json "$(basename "$recording")")
    done >"$here/transcripts.jsonl"
    if diff "$here/transcripts.jsonl" "$out/transcripts.jsonl"; then echo "transcripts: the same on both machines"; fi
  fi
  # Folders are named by version, and this checkout may be ahead of what is committed: others are no difference.
  store=$("$edgevoice" models list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["root"])')
  common=$(join <(model_sums "$store" | sort) <(model_sums "$tree$home/.local/share/edgevoice/models" | sort))
  if [[ -z $common ]]; then
    echo "built models: no version that both machines have"
  elif awk '$2 != $3' <<<"$common" | grep .; then
    echo "(above: files of built models that differ)"
  else
    echo "built models: the same bytes on both machines"
  fi
}

: >"$out/times.txt"
register_emulator
describe_processor
step "a fresh Debian for $cpu" make_tree
step "clone" clone
step "make run without root: refused with the line to type, which is typed" refuse_and_install
step "make setup" inside newcomer "$checkout" 'make setup'
step "make models" inside newcomer "$checkout" 'make models'
step "edgevoice say" say
step "make run: a demonstration, and a turn from a file" turn
[[ $# -eq 0 ]] || step "edgevoice transcribe" transcribe "$@"
step "checks" check
if [[ -x $repository/.venv/bin/edgevoice ]]; then
  step "beside this machine" compare "$@"
fi
echo "== all well; times and results are in $out"
