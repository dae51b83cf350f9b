# shellcheck shell=bash
# Shared by the scripts of this folder: Debian kernels and packages from whatever mirror this machine's apt is configured with.
#
# VM_CACHE keeps downloads between runs (kernels are 10 to 30 MB each). Nothing of the machine's own apt state is touched: other suites
# get lists and caches of their own.
set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
VM_CACHE=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/skill-init-vm}
mkdir -p "$VM_CACHE"

note() { printf '%s\n' "$*" >&2; }

# The first site that the machine's own sources name for its own release carries the other suites too.
mirror() {
    local codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016  # apt's own format, not the shell's
    apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' | awk -v r="$codename" '$2 == r { print $1; exit }'
}

# suite_apt SUITE COMMAND...: apt-get against one suite.
suite_apt() {
    local suite=$1 dir=$VM_CACHE/apt-$1
    shift
    local options=(-qq -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::Etc::preferencesparts=/dev/null -o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache"
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false)
    if [ ! -e "$dir/ready" ]; then
        mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main" > "$dir/sources.list"
        apt-get "${options[@]}" update >&2 && touch "$dir/ready"
    fi
    "${SUITE_TOOL:-apt-get}" "${options[@]}" "$@"
}

# kernel SUITE: the folder with the cloud kernel of a suite (vmlinuz, version, modules for a disk with ext4); downloads it once. Non-zero
# where the suite is gone.
kernel() {
    local suite=$1 dir=$VM_CACHE/kernel-$1 image extra deb
    if [ ! -e "$dir/version" ] || [ ! -e "$dir/modules" ]; then
        suite_apt "$suite" check >&2 || return 1
        depends() { SUITE_TOOL=apt-cache suite_apt "$suite" depends "$1" 2>/dev/null | awk '$1 == "Depends:" { print $2 }'; }
        image=$(depends linux-image-cloud-amd64 | grep '^linux-image-' | head -1)
        [ -n "$image" ] || return 1
        # Newer Debian splits the image: the kernel itself is in linux-binary.
        extra=$(depends "$image" | grep '^linux-binary-' || true)
        rm -rf "$dir" && mkdir -p "$dir/unpacked"
        # shellcheck disable=SC2086  # a list of package names
        (cd "$dir" && suite_apt "$suite" download "$image" $extra >&2)
        for deb in "$dir"/*.deb; do dpkg-deb -x "$deb" "$dir/unpacked"; done
        cp "$(find "$dir/unpacked" -name 'vmlinuz*' -type f | head -1)" "$dir/vmlinuz"
        rm -rf "$dir/modules" && mkdir "$dir/modules"
        find "$dir/unpacked" -regextype posix-extended -type f \
            -regex '.*/(ext4|jbd2|mbcache|crc16|crc32c_generic|virtio[a-z_]*)\.ko(\.xz)?' -exec cp {} "$dir/modules/" \;
        find "$dir/modules" -name '*.xz' -exec xz -d {} +
        echo "${image#linux-image-}" > "$dir/version"
        rm -rf "$dir/unpacked" "$dir"/*.deb
    fi
    echo "$dir"
}

# crun_tree: a folder with the crun container runtime and its libraries, from this machine's own release.
crun_tree() {
    local dir=$VM_CACHE/crun deb
    if [ ! -e "$dir/ready" ]; then
        rm -rf "$dir" && mkdir -p "$dir/debs" "$dir/root"
        (cd "$dir/debs" && apt-get -qq -o APT::Sandbox::User=root download crun libyajl2 libseccomp2 libcap2 libsystemd0 libgcrypt20 libgpg-error0 liblz4-1 \
            liblzma5 libzstd1 libc6 >&2) || return 1
        for deb in "$dir"/debs/*.deb; do dpkg-deb -x "$deb" "$dir/root"; done
        rm -rf "$dir/debs" "$dir/root/usr/share"
        touch "$dir/ready"
    fi
    echo "$dir/root"
}

# static_binary: builds the init and its worker for the machines (profile quick); prints the init's path.
static_binary() {
    local target=x86_64-unknown-linux-gnu
    (cd "$REPO" && RUSTFLAGS='-C target-feature=+crt-static -C relocation-model=static' \
        cargo build --quiet --profile quick --target $target --bins -p skill-init -p skill-api >&2)
    echo "$REPO/target/$target/quick/skill-init"
}

# initramfs ROOT IMAGE: adds busybox and the machine's own init, which runs ROOT/script, and packs it.
initramfs() {
    local root=$1 applet
    mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,etc}
    cp "$(command -v busybox)" "$root/bin/busybox"
    # Where the tree has merged its folders (bin -> usr/bin) the links land in the right place all the same.
    for applet in sh mount mkdir cat echo ls sleep ln ps seq grep sed awk cut sort dirname printf rm id dd timeout poweroff ip env head \
        chmod true test uname tr readlink tail find sha256sum mv insmod wget cp sync; do ln -sf busybox "$root/bin/$applet"; done
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
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$2"
}
