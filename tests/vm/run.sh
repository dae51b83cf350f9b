#!/usr/bin/env bash
# The real static binary on real Debian kernels with cgroup v2: 5.10, 6.1, 6.12, 7.x. Prints `N passed, N failed, N skipped`;
# exit status 1 if anything failed.
#
#   run.sh [SKILL_INIT [MACHINE...]]    a static binary with skill-api beside it; without it both are built (profile quick).
#                                       Machines: 5.10 6.1 6.1-lsm 6.12 7.x
#   CAPTURE=1 run.sh ...                also writes the captured roots to tests/fixtures/roots/
#   VM_LIMIT=300 run.sh ...             seconds that one machine may take (180)
#
# Needs qemu-system-x86, busybox-static, cpio, jq (apt). A suite that the mirror no longer carries is skipped, loudly.
. "$(dirname "$0")/lib.sh"

for tool in qemu-system-x86_64 busybox cpio jq dpkg-deb; do
    command -v "$tool" > /dev/null || { note "run.sh: $tool is missing: apt-get install qemu-system-x86 busybox-static cpio jq" && exit 2; }
done
binary=${1:-}
[ $# -eq 0 ] || shift
wanted=" ${*:-5.10 6.1 6.1-lsm 6.12 7.x} "
[ -n "$binary" ] || binary=$(static_binary)

worker=$(dirname "$binary")/skill-api
[ -x "$worker" ] || { note "run.sh: no $worker: the embedded worker belongs beside the init" && exit 2; }

passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check NAME GOT WANT
check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1)) && echo "pass  $1"
    else
        failed=$((failed + 1)) && printf 'FAIL  %s: got "%s", wanted "%s"\n' "$1" "$2" "$3"
    fi
}
skip() { skipped=$((skipped + 1)) && note "SKIP  $1"; }
# section NAME: what the machine printed under that name.
section() { awk -v name="$1" '/^@@end/ { on = 0 } on { print } $1 == "@@begin" && $2 == name { on = 1 }' "$work/console"; }
# json SECTION FILTER
json() { json_of "$1-json" "$2"; }
json_of() { section "$1" | jq -r "$2" 2>/dev/null || echo "no JSON"; }
capture() {
    [ "${CAPTURE:-}" = 1 ] || return 0
    mkdir -p "$REPO/tests/fixtures/roots"
    section "$1-capture" > "$REPO/tests/fixtures/roots/$2.root"
}

# A container as crun makes it: own cgroup namespace, cgroup mount read-only, uid 12345, no capability, no new privileges.
bundle() {
    local tree=$1 quota=$2 name file
    cp -a "$(crun_tree)/." "$tree/"
    mkdir -p "$tree/bundle/rootfs"/{bin,proc,sys,dev,tmp}
    cp "$(command -v busybox)" "$tree/bundle/rootfs/bin/busybox"
    for name in sh cat sed awk grep cut sort dirname printf true test head; do ln -sf busybox "$tree/bundle/rootfs/bin/$name"; done
    for name in read tr; do ln -sf busybox "$tree/bundle/rootfs/bin/$name"; done
    cp "$binary" "$tree/bundle/rootfs/bin/skill-init"
    cp "$worker" "$tree/bundle/rootfs/bin/skill-api"
    cp "$REPO/tests/fixtures/capture.sh" "$tree/bundle/rootfs/bin/"
    for file in json capture; do
        local args='["/bin/skill-init", "probe", "--json"]'
        [ $file = json ] || args='["/bin/sh", "/bin/capture.sh", "/bin/skill-init"]'
        jq -n --argjson args "$args" --argjson quota "$quota" '{
            ociVersion: "1.0.2", hostname: "c", root: {path: "rootfs", readonly: true},
            process: {terminal: false, user: {uid: 12345, gid: 0}, args: $args, env: ["PATH=/bin"], cwd: "/", noNewPrivileges: true,
                capabilities: {bounding: [], effective: [], permitted: []},
                rlimits: [{type: "RLIMIT_NOFILE", soft: 1024, hard: 4096}]},
            mounts: [
                {destination: "/proc", type: "proc", source: "proc"},
                {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"]},
                {destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"]},
                {destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"]},
                {destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=1m"]}],
            linux: {cgroupsPath: "/crun",
                resources: {memory: {limit: 100663296, swap: 100663296}, cpu: {quota: $quota, period: 100000}, pids: {limit: 40}},
                namespaces: ["pid", "ipc", "uts", "mount", "cgroup", "network"] | map({type: .})}
        }' > "$tree/bundle/$file.json"
    done
    # The whole start as PID 1, with the environment of scenarios.sh, room for more than one run, and CPU enough not to be throttled:
    # emulated, that takes minutes.
    jq '.process.args = ["/bin/skill-init", "entrypoint"]
        | .process.env += (["SKILL_RUNNER_DATA_DIR=/tmp/data", "SKILL_RUNNER_AGENT_CACHE_DIR=/tmp/cache", "SKILL_INIT_ENSURE=off",
            "SKILL_INIT_TTYD=off", "SKILL_INIT_APP_DIR=/tmp", "SKILL_INIT_API_COMMAND=/bin/skill-api", "SKILL_INIT_SOCKET=/tmp/control.sock",
            "SKILL_INIT_HTTP_ADDR=127.0.0.1:8079", "SKILL_RUNNER_CPU_FACTOR=16", "SKILL_RUNNER_MEM_RESERVE_MB=1",
            "SKILL_RUNNER_ESTIMATED_MEM_PER_RUN_MB=16"])
        | .linux.resources.memory = {limit: 268435456, swap: 268435456} | .linux.resources.pids.limit = 400
        | .linux.resources.cpu = {quota: 400000, period: 100000}
        | .mounts |= map(if .destination == "/tmp" then .options = ["size=32m"] else . end)' \
        "$tree/bundle/json.json" > "$tree/bundle/start.json"
}

# machine NAME SUITE APPEND [QUOTA]: boots it; non-zero where there is no such kernel. QUOTA: of the container, per 100 ms.
machine() {
    local status=0 tree=$work/tree
    case $wanted in *" $1 "*) ;; *) return 1 ;; esac
    rm -rf "$tree" && mkdir -p "$tree"
    if crun_tree > /dev/null 2>&1; then bundle "$tree" "${4:-50000}"; else skip "$1: no crun to be had, its container is left out"; fi
    "$HERE/boot.sh" --suite "$2" --append "$3" --bin "$binary" --bin "$worker" --bin "$REPO/tests/fixtures/capture.sh" --tree "$tree" \
        "$HERE/scenarios.sh" > "$work/console" || status=$?
    if [ $status -eq 98 ]; then skip "$1: the mirror has no kernel of $2" && return 1; fi
    [ "$status" -eq 0 ] || note "$1: the console's end: $(tail -n 20 "$work/console")"
    check "$1: the scripts ran to their end" "$status" 0
}

# common NAME [CPUS]: what must be so on every kernel. CPUS: quota and usable CPUs in the container.
common() {
    check "$1: the release is the kernel's own" "$(json root .kernel.release.value)" "$(section release)"
    check "$1: cgroups are v2" "$(json root .cgroups.mode)" v2
    check "$1: without limits memory is the host's" "$(json root .memory.limit.from)" /proc/meminfo
    check "$1: a child of init is not PID 1" "$(json root .container.is_pid1)" false
    check "$1: the table has a line for memory" "$(section root-table | grep -c '^memory limit')" 1

    check "$1 box: tasks are limited by the ancestor" "$(json box '"\(.tasks.limit.reading.value) \(.tasks.limit.from)"')" \
        "96 /sys/fs/cgroup/pod/pids.max"
    check "$1 box: CPU bandwidth is the ancestor's" "$(json box '"\(.cpu.quota.reading.value) \(.cpu.quota.from)"')" \
        "1.5 /sys/fs/cgroup/pod/cpu.max"
    check "$1 box: the cpuset of one CPU binds" "$(json box .cpu.effective.reading.value)" 1
    check "$1 box: memory.max is the ancestor's" "$(json box '"\(.memory.limit.reading.value) \(.memory.limit.from)"')" \
        "134217728 /sys/fs/cgroup/pod/memory.max"
    check "$1 box: memory.high is its own" "$(json box .memory.high.reading.value)" 67108864
    check "$1 box: what is free is below the tighter one" "$(json box '.memory.available.reading.value < 67108864')" true

    [ -d "$work/tree/bundle" ] || return 0
    # Debian's crun cannot start itself anew from an initramfs before Linux 6.1.
    if section crun-json | grep -q 'Failed to re-execute'; then skip "$1 crun: $(section crun-json | head -1)" && return 0; fi
    check "$1 crun: memory" "$(json crun '"\(.memory.limit.reading.value) \(.memory.limit.from)"')" "100663296 /sys/fs/cgroup/memory.max"
    check "$1 crun: tasks" "$(json crun .tasks.limit.reading.value)" 40
    check "$1 crun: CPU quota and what can be used" "$(json crun '"\(.cpu.quota.reading.value) \(.cpu.effective.reading.value)"')" \
        "${2:-0.5 1}"
    check "$1 crun: it is PID 1" "$(json crun .container.is_pid1)" true
    check "$1 crun: uid, no capability, no new privileges" \
        "$(json crun '"\(.privileges.uid.value) \(.privileges.effective.value | length) \(.privileges.no_new_privs.value)"')" "12345 0 true"
    check "$1 crun: descriptors" "$(json crun '"\(.descriptors.soft.reading.value) \(.descriptors.hard.reading.value)"')" "1024 4096"
    check "$1 crun: a read-only root is told" "$(json crun '.paths[] | select(.name == "data") | .why_not')" "read-only file system"
}
# booted NAME 0|1: the whole start was ready with these limits, gave its worker this Landlock verdict and stopped with 0.
booted() {
    check "$1 boot: memory binds at (512 - in use) / 128" "$(json_of boot-plan '"\(.concurrency.max_concurrent) \(.concurrency.binds)"')" "3 memory"
    started "$1 boot" boot "$2"
    out_of_memory "$1"
    [ -d "$work/tree/bundle" ] || return 0
    if section crun-json | grep -q 'Failed to re-execute'; then return 0; fi
    started "$1 crun boot" crun "$2"
    check "$1 crun boot: skill-init is PID 1" "$(json_of crun-status .pid)" 1
}
# started NAME SECTION 0|1
started() {
    local state
    state=$(json_of "$2-status" .state)
    [ "$state" = ready ] || note "$1: $(section "$2-log" | tail -n 8)"
    check "$1: ready" "$state" ready
    check "$1: tasks bind at (400 - in use - 128) / 64" \
        "$(json_of "$2-status" '"\(.concurrency.max_concurrent) \(.concurrency.binds)"')" "4 pids"
    check "$1: the worker's Landlock verdict" "$(section "$2-verdict")" "LANDLOCK_ENABLED=$3"
    check "$1: stopped in order" "$(awk -v name="$2-exit" '$1 == "@@begin" { on = $2 == name } on && $1 == "@@end" { print $2; exit }' "$work/console")" 0
}
# out_of_memory NAME: both OOM kills were told, though no tick came.
out_of_memory() {
    local exit
    exit=$(awk '$1 == "@@begin" { on = $2 == "oom-exit" } on && $1 == "@@end" { print $2; exit }' "$work/console")
    check "$1 oom: a service lives on when a process of its own dies of it" \
        "$(json_of oom-status '.services[] | select(.name == "worker") | "\(.state) \(.restarts)"')" "ready 0"
    check "$1 oom: a service's own end is named so" \
        "$(json_of oom-status '.services[] | select(.name == "eater") | .last_reason | contains("oom-killed")')" true
    check "$1 oom: both kills are counted" "$(json_of oom-status .oom_kills)" 2
    check "$1 oom: the log tells the first" "$(section oom-log | grep -c 'the OOM killer ended a process in this container')" 1
    check "$1 oom: the container went on and stopped in order" "$exit" 0
}
landlock() { check "$1: Landlock ($2 $3)" "$(json root '"\(.landlock.usable) \(.landlock.abi.value // .landlock.abi_errno)"')" "$2 $3"; }

if machine 5.10 bullseye ""; then
    common 5.10
    landlock 5.10 false ENOSYS
    booted 5.10 0
    check "5.10: an old kernel is the reason" "$(json root '.landlock.reason | contains("5.13")')" true
    capture box v2-5.10-nested
fi
if machine 6.1 bookworm ""; then
    common 6.1
    landlock 6.1 true 2
    booted 6.1 1
    check "6.1 crun: Landlock works without any privilege" "$(json crun .landlock.usable)" true
    capture root v2-6.1-root
    capture box v2-6.1-nested
    capture crun v2-6.1-crun
fi
if machine 6.1-lsm bookworm "lsm=lockdown,yama psi=0"; then
    common 6.1-lsm
    landlock 6.1-lsm false EOPNOTSUPP
    booted 6.1-lsm 0
    check "6.1-lsm: the reason is the boot parameter" "$(json root '.landlock.reason | contains("lsm=")')" true
    check "6.1-lsm psi=0: no pressure" "$(json root '"\(.pressure.cgroup) \(.pressure.system)"')" "null null"
    capture root v2-6.1-no-landlock
fi
if machine 6.12 trixie ""; then
    common 6.12
    check "6.12: Landlock" "$(json root '"\(.landlock.usable) \(.landlock.abi.value >= 6)"')" "true true"
    booted 6.12 1
    check "6.12: pressure of the cgroup" "$(json box .pressure.cgroup)" /sys/fs/cgroup/pod/box/memory.pressure
    capture crun v2-6.12-crun
fi
# A quota that is never used up: emulated, this kernel hangs as soon as a group is throttled, whatever runs in it.
if machine 7.x sid "" 400000; then
    common 7.x "4 2"
    check "7.x: Landlock" "$(json root '"\(.landlock.usable) \(.landlock.abi.value >= 7)"')" "true true"
    booted 7.x 1
    capture box v2-7-nested
    capture crun v2-7-crun
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
