# shellcheck shell=bash
# A Debian for 64-bit Arm in a folder, whose programs an emulated processor runs; to be sourced by what tries edgevoice
# in it. It takes root, and the packages debootstrap and qemu-user-static. Packages come from where this machine gets
# its own. CPU names the processor: cortex-a53 (Raspberry Pi 3 and Zero 2, the least that edgevoice is made for) unless
# told, cortex-a72 (4) or cortex-a76 (5). Whoever sources this sets $folder: what comes up goes there, logs into out in it.

cpu=${CPU:-cortex-a53}
emulator=/usr/bin/qemu-aarch64-static

need_emulation() { # whether this machine can do it at all; the reason on standard error
  if [[ $(id -u) -ne 0 ]]; then
    echo "this takes root: it makes a system in a folder and changes into it" >&2
    return 1
  fi
  for command in debootstrap unshare "$emulator"; do
    if ! command -v "$command" >/dev/null; then
      echo "$command is missing: apt-get install debootstrap qemu-user-static" >&2
      return 1
    fi
  done
}

# The kernel starts the emulator by itself for every Arm program. The entry is gone at the next start of this machine.
register_emulator() {
  local registry=/proc/sys/fs/binfmt_misc
  [[ -e $registry/register ]] || mount -t binfmt_misc binfmt_misc "$registry"
  [[ ! -e $registry/qemu-aarch64 ]] || return 0
  # An ELF file, 64 bits, little-endian, executable or shared, for machine 183. F: opened now, so that it is found from
  # inside the tree too.
  local magic='\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
  local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  printf '%s' ":qemu-aarch64:M::$magic:$mask:$emulator:F" >"$registry/register"
}

# What this machine says about mirrors, proxies and certificates goes into the tree, and nowhere else.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null |
    grep -oE 'https?://[^ ]*/debian/?( |$)' | head -n 1 | tr -d ' ' || true
}

settings() { # NAME=VALUE lines for programs in the tree
  env | grep -iE '^(https?|no)_proxy=' || true
  env | grep -E '^PIP_(INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)=' || true
  local index
  if index=$(python3 -m pip config get global.index-url 2>/dev/null); then echo "PIP_INDEX_URL=$index"; fi
  [[ -z ${PIP_CERT-} ]] || echo "PIP_CERT=/etc/ssl/certs/ca-certificates.crt"
}

# The emulator shows this machine's own /proc/cpuinfo, on which ONNX Runtime's look at the processor crashes when it
# expects the one of an Arm.
describe_processor() {
  local part
  case $cpu in
    cortex-a53) part=0xd03 ;; # Raspberry Pi 3, Zero 2
    cortex-a72) part=0xd08 ;; # Raspberry Pi 4
    cortex-a76) part=0xd0b ;; # Raspberry Pi 5
    *)
      echo "CPU=$cpu: only cortex-a53, cortex-a72 and cortex-a76 are described here" >&2
      return 1
      ;;
  esac
  for ((n = 0; n < $(nproc); n++)); do
    printf '%s\n' "processor: $n" "Features: fp asimd crc32" "CPU implementer: 0x41" "CPU architecture: 8" \
      "CPU variant: 0x0" "CPU part: $part" "CPU revision: 0" ""
  done >"${folder:?}/cpuinfo"
}

bootstrap() { # bootstrap SUITE TREE PACKAGES: a bare Debian with these packages, separated by commas; made once
  local suite=$1 tree=$2 packages=$3
  [[ ! -e $tree/.bootstrapped ]] || return 0
  rm -rf "$tree"
  # shellcheck disable=SC2046 # without a mirror, debootstrap takes its own
  debootstrap --arch=arm64 --variant=minbase ${packages:+"--include=$packages"} "$suite" "$tree" $(mirror) \
    >"$folder/out/debootstrap-$suite.log" 2>&1
  touch "$tree/.bootstrapped"
}

network=yes # no: what is run in the tree sees no network at all

enter() { # enter TREE USER FOLDER COMMANDS: run them in a tree; what was mounted and started is gone afterwards
  local tree=$1 user=$2 place=$3 user_home=/root
  shift 3
  [[ $user == root ]] || user_home=/home/$user
  local environment alone=()
  mapfile -t environment < <(settings)
  [[ $network == yes ]] || alone=(--net)
  # A program that crashed can leave the emulator hanging, hence the limit.
  # shellcheck disable=SC2016 # expanded by the inner shell
  timeout --signal=KILL 20m unshare --mount --pid ${alone[@]+"${alone[@]}"} --fork --kill-child bash -c '
    set -e
    tree=$1 user=$2 cpuinfo=$3
    shift 3
    mount -t proc proc "$tree/proc"
    mount --bind "$cpuinfo" "$tree/proc/cpuinfo"
    mount -t sysfs -o ro sysfs "$tree/sys"
    mount -t tmpfs tmpfs "$tree/dev/shm"
    exec chroot --userspec="$user:$user" "$tree" "$@"
  ' inside "$tree" "$user" "$folder/cpuinfo" /usr/bin/env -i "HOME=$user_home" PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
    LANG=C.UTF-8 "QEMU_CPU=$cpu" ${environment[@]+"${environment[@]}"} \
    /bin/bash -c "cd $place && $*" </dev/null
}
