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
