#!/bin/sh
# Runs inside the machine: the same questions in the root cgroup, below ancestors with limits, and in a container with a cgroup namespace
# of its own. Each answer is printed between `@@begin NAME` and `@@end`.
init=/bin/skill-init
cgroup=/sys/fs/cgroup

section() { echo "@@begin $1"; shift; "$@"; echo "@@end $?"; }

# The pod limits tasks and CPU, the box memory: each limit must be found at its own level.
mkdir -p $cgroup/pod/box
echo "+cpu +memory +pids +cpuset" > $cgroup/pod/cgroup.subtree_control
echo 96 > $cgroup/pod/pids.max
echo "150000 100000" > $cgroup/pod/cpu.max
echo 134217728 > $cgroup/pod/memory.max
echo 67108864 > $cgroup/pod/box/memory.high
echo 1 > $cgroup/pod/box/cpuset.cpus
in_box() { sh -c 'echo $$ > /sys/fs/cgroup/pod/box/cgroup.procs && exec "$@"' sh "$@"; }
# Both streams: a runtime that cannot start says why on the other one.
in_container() { crun --cgroup-manager=cgroupfs run --no-pivot -b /bundle -f "/bundle/$1.json" "$1" 2>&1; }

section release uname -r
section root-json $init probe --json
section root-table $init probe
section root-capture sh /bin/capture.sh $init
section box-json in_box $init probe --json
section box-capture in_box sh /bin/capture.sh $init
if [ -d /bundle ]; then
    section crun-json in_container json
    section crun-capture in_container capture
fi

# The whole start, with the embedded worker, below limits of its own: tasks bind at (400 - in use - 128) / 64 = 4, and with
# 128 MiB per run memory does at (512 - in use) / 128 = 3.
export SKILL_RUNNER_DATA_DIR=/tmp/data SKILL_RUNNER_AGENT_CACHE_DIR=/tmp/cache SKILL_INIT_ENSURE=off SKILL_INIT_TTYD=off \
    SKILL_INIT_API_COMMAND=/bin/skill-api SKILL_INIT_SOCKET=/tmp/control.sock SKILL_INIT_HTTP_ADDR=127.0.0.1:8079 \
    SKILL_RUNNER_CPU_FACTOR=16 SKILL_RUNNER_MEM_RESERVE_MB=1 SKILL_RUNNER_ESTIMATED_MEM_PER_RUN_MB=16
mkdir -p $cgroup/boot
echo 400 > $cgroup/boot/pids.max
echo 536870912 > $cgroup/boot/memory.max
echo 1 > $cgroup/boot/cpuset.cpus
in_boot() { sh -c 'echo $$ > /sys/fs/cgroup/boot/cgroup.procs && exec "$@"' sh "$@"; }
# The worker's own view: what init handed over to it.
verdict() { tr '\0' '\n' < "/proc/$1/environ" | grep '^LANDLOCK_ENABLED='; }
named() { for p in /proc/[0-9]*; do
    read -r comm < "$p/comm" && [ "$comm" = "$1" ] && echo "${p#/proc/}" && return; done 2>/dev/null; return 1; }
worker() { $init status --json | tr -d ' \n' | sed -n 's/.*"name":"api","state":"[a-z]*","pid":\([0-9]*\).*/\1/p'; }

section boot-plan in_boot env SKILL_RUNNER_ESTIMATED_MEM_PER_RUN_MB=128 $init plan --json
(exec sh -c 'echo $$ > /sys/fs/cgroup/boot/cgroup.procs && exec "$@"' sh $init entrypoint) > /tmp/boot.log 2>&1 &
boot=$!
section boot-wait $init wait --ready --timeout 100s
section boot-status $init status --json
section boot-verdict verdict "$(worker)"
kill -TERM $boot
section boot-exit wait $boot
section boot-log cat /tmp/boot.log

# Out of memory, while no tick comes that could find it: what is told came by the kernel's own word. First a process of a service
# (an agent's run) dies of it, then a service's main process. Nobody else can be chosen: emulated, a victim takes long to go, and the
# kernel looks for another one meanwhile.
mkdir -p $cgroup/oom /tmp/oom
echo 67108864 > $cgroup/oom/memory.max
echo 0 > $cgroup/oom/memory.swap.max
cat > /tmp/oom/init.toml <<'CONFIG'
[service.worker]
command = ["sh", "-c", "until test -e /tmp/oom/first; do sleep 0.1; done; sh -c 'echo 1000 > /proc/self/oom_score_adj; x=x; while :; do x=$x$x; done'; exec sleep 1000"]
essential = true
[service.eater]
command = ["sh", "-c", "until test -e /tmp/oom/second; do sleep 0.1; done; echo 1000 > /proc/self/oom_score_adj; x=x; while :; do x=$x$x; done"]
restart = "never"
CONFIG
oom_status() { $init status --json --socket /tmp/oom/control.sock; }
oom_until() { n=0; until oom_status | tr -d ' \n' | grep -q "$1"; do n=$((n + 1)); [ $n -lt 200 ] || return 1; sleep 0.2; done; }
(exec sh -c 'echo $$ > /sys/fs/cgroup/oom/cgroup.procs && echo -1000 > /proc/self/oom_score_adj && exec "$@"' sh env SKILL_INIT_CONFIG=/tmp/oom/init.toml SKILL_INIT_API=false \
    SKILL_INIT_GATEWAY=false SKILL_INIT_TICK=1h SKILL_INIT_SOCKET=/tmp/oom/control.sock $init entrypoint) > /tmp/oom.log 2>&1 &
oom=$!
# The first look, after which the alarms stand.
oom_until '"memory":{"used":[0-9]'
: > /tmp/oom/first
section oom-first oom_until '"oom_kills":1'
: > /tmp/oom/second
section oom-second oom_until '"name":"eater","state":"failed"'
section oom-status oom_status
kill -TERM $oom
section oom-exit wait $oom
section oom-log cat /tmp/oom.log

# The whole start as PID 1 of a container.
if [ -d /bundle ]; then
    crun --cgroup-manager=cgroupfs run --no-pivot -b /bundle -f /bundle/start.json start > /tmp/crun.log 2>&1 &
    container=$!
    # From outside, through the worker's root folder: nothing but the two binaries has to run in the container.
    until api=$(named skill-api) || ! kill -0 $container; do sleep 0.1; done
    socket=/proc/$api/root/tmp/control.sock
    section crun-wait $init wait --ready --timeout 100s --socket "$socket"
    section crun-status $init status --json --socket "$socket"
    section crun-verdict verdict "$api"
    section crun-kill crun kill start TERM
    section crun-exit wait $container
    section crun-log cat /tmp/crun.log
fi
