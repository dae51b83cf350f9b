#!/usr/bin/env bash
# Boots a Debian kernel under QEMU (emulated: needs no /dev/kvm) with an initramfs of busybox, the given program and a script; prints
# the console. Exit status: that of the script; 99 when it did not end.
#
#   boot.sh [--suite bullseye|bookworm|trixie|sid] [--append 'lsm=...'] [--bin FILE]... [--tree DIR] SCRIPT
#
# In the machine: cgroup v2 with every controller at /sys/fs/cgroup, no network but lo, 1 GiB, 2 CPUs. Every --bin is in /bin; --tree
# is copied over the root. The script runs as a child of the machine's init, as root.
. "$(dirname "$0")/lib.sh"

suite=bookworm append="" bins=() tree=""
while [ $# -gt 1 ]; do
    case $1 in
    --suite) suite=$2 ;;
    --append) append=$2 ;;
    --bin) bins+=("$2") ;;
    --tree) tree=$2 ;;
    *) note "boot.sh: unknown option $1" && exit 2 ;;
    esac
    shift 2
done
script=$1
kernel=$(kernel "$suite") || { note "boot.sh: no kernel of $suite to be had" && exit 98; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin"
[ -z "$tree" ] || cp -a "$tree/." "$root/"
for bin in "${bins[@]}"; do cp "$bin" "$root/bin/"; done
cp "$script" "$root/script"
initramfs "$root" "$work/initrd.gz"

timeout "${VM_LIMIT:-180}" qemu-system-x86_64 -accel tcg -cpu max -m 1024 -smp 2 -nodefaults -no-user-config -no-reboot \
    -display none -serial stdio -kernel "$kernel/vmlinuz" -initrd "$work/initrd.gz" \
    -append "console=ttyS0 quiet panic=-1 $append" < /dev/null > "$work/console" 2> "$work/errors" || note "boot.sh: qemu: $(head -3 "$work/errors")"
tr -d '\r' < "$work/console" | sed -n '/@@up/,$p'
status=$(tr -d '\r' < "$work/console" | sed -n 's/^@@exit \([0-9]*\)$/\1/p' | tail -1)
exit "${status:-99}"
