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
mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,etc}
[ -z "$tree" ] || cp -a "$tree/." "$root/"
cp "$(command -v busybox)" "$root/bin/busybox"
# Where the tree has merged its folders (bin -> usr/bin) the links land in the right place all the same.
for applet in sh mount mkdir cat echo ls sleep ln ps seq grep sed awk cut sort dirname printf rm id dd timeout poweroff ip env head \
    chmod true test uname tr; do ln -sf busybox "$root/bin/$applet"; done
for bin in "${bins[@]}"; do cp "$bin" "$root/bin/"; done
cp "$script" "$root/script"
cat > "$root/init" <<'INIT'
#!/bin/sh
export PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for controller in cpu memory pids cpuset; do echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control; done
ip link set lo up 2>/dev/null
echo "@@up"
sh /script
echo "@@exit $?"
poweroff -f
INIT
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$work/initrd.gz"

timeout "${VM_LIMIT:-180}" qemu-system-x86_64 -accel tcg -cpu max -m 1024 -smp 2 -nodefaults -no-user-config -no-reboot \
    -display none -serial stdio -kernel "$kernel/vmlinuz" -initrd "$work/initrd.gz" \
    -append "console=ttyS0 quiet panic=-1 $append" < /dev/null > "$work/console" 2> "$work/errors" || note "boot.sh: qemu: $(head -3 "$work/errors")"
tr -d '\r' < "$work/console" | sed -n '/@@up/,$p'
status=$(tr -d '\r' < "$work/console" | sed -n 's/^@@exit \([0-9]*\)$/\1/p' | tail -1)
exit "${status:-99}"
