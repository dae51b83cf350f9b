#!/usr/bin/env bash
# Power cuts: a machine of its own, whose disk stays, dies again and again in the middle of upgrades, imports, trust entries and runs
# (SIGKILL to QEMU: what its kernel had not written is gone). After every cut the next boot asks what must hold; what a command had said was done
# must still be there. Prints `N passed, N failed, N skipped`; exit status 1 if anything failed.
#
#   power.sh [SKILL_INIT [CUTS]]    a static binary (without it: built, profile quick) and how often the power goes (24)
#   POWER_SEED=7 power.sh ...       other moments
#   VM_LIMIT=300 power.sh ...       seconds that one boot may take until it works (180)
#
# The file system is ext4 and commits by itself after five minutes only, and renames are not written early: what no command synced is lost.
# A control proves it: a file that is written and renamed without sync must come back old or empty.
# Writes that the disk itself had acknowledged survive. Needs qemu-system-x86, busybox-static, cpio, e2fsprogs, jq (apt).
. "$(dirname "$0")/lib.sh"

for tool in qemu-system-x86_64 busybox cpio jq dpkg-deb mkfs.ext4; do
    command -v "$tool" > /dev/null \
        || { note "power.sh: $tool is missing: apt-get install qemu-system-x86 busybox-static cpio e2fsprogs jq" && exit 2; }
done
binary=${1:-} cuts=${2:-24}
[ -n "$binary" ] || binary=$(static_binary)
RANDOM=${POWER_SEED:-5}

work=$(mktemp -d) machine=""
# Its end by SIGKILL is not the script's.
gone() { [ -z "$machine" ] || { kill -9 "$machine"; wait "$machine" || true; } 2> /dev/null || true; }
trap 'gone; rm -rf "$work"' EXIT
kernel=$(kernel bookworm) || { note "SKIP  power: the mirror has no kernel" && echo "0 passed, 0 failed, 1 skipped" && exit 0; }

root=$work/root
mkdir -p "$root/bin/npm.d"
cp "$HERE/power_guest.sh" "$root/script"
cp "$binary" "$root/bin/skill-init"
cp "$(dirname "$binary")/skill-api" "$root/bin/skill-api"
cp "$REPO/tests/agents/npm.sh" "$root/bin/npm.d/npm"
cp "$HERE/power_npm.sh" "$root/bin/npm"
chmod 755 "$root/bin/npm" "$root/bin/npm.d/npm"
cp -r "$kernel/modules" "$root/modules"
# The worker's root: a skill that wants a number, and a codex that gives it.
skill=$root/worker/skills/demo cli=$root/worker/agent-cache/npm/bin/codex
mkdir -p "$skill/assets" "$(dirname "$cli")" "$root/worker/data"
printf -- '---\nname: demo\ndescription: a test\n---\n# demo\n' > "$skill/SKILL.md"
jq -n '{id: "demo", version: "1.0.0", execution_modes: ["auto"], schemas: {input: "assets/input.schema.json",
    parameter: "assets/parameter.schema.json", output: "assets/output.schema.json"}}' > "$skill/assets/runner.json"
for schema in input parameter; do echo '{"type": "object", "properties": {}}' > "$skill/assets/$schema.schema.json"; done
jq -n '{type: "object", properties: {answer: {type: "integer"}}, required: ["answer"]}' > "$skill/assets/output.schema.json"
message=$(jq -cn '{type: "item.completed", item: {id: "0", type: "agent_message", text: "{\"answer\": 7, \"__SKILL_DONE__\": true}"}}')
cat > "$cli" <<CLI
#!/bin/sh
[ "\$1" != --version ] || { echo 'codex-cli 0.169.0'; exit; }
echo '{"type":"thread.started","thread_id":"t-1"}'
echo '$message'
echo '{"type":"turn.completed"}'
CLI
chmod 755 "$cli"
echo '{"codex": {"present": true, "version": "codex-cli 0.169.0"}}' > "$root/worker/data/agent_status.json"
initramfs "$root" "$work/initrd.gz"
truncate -s 512M "$work/disk"
mkfs.ext4 -q -F "$work/disk"

passed=0 failed=0
check() { # NAME GOT WANT
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1)) && printf 'FAIL  %s: got "%s", wanted "%s"\n' "$1" "$2" "$3"
    fi
}
console() { tr -d '\r' < "$work/console"; }
said() { console | sed -n "s/^@@$1 //p" | tail -n 1; }
# until_said WORD: the machine has come so far; false when it ended or took too long.
until_said() {
    local end=$((SECONDS + ${VM_LIMIT:-180}))
    until console | grep -q "^@@$1"; do
        [ $SECONDS -lt $end ] && kill -0 "$machine" 2> /dev/null || return 1
        sleep 0.05
    done
}
# kept WHAT CUT: what was acknowledged before the last cut, or what was under way then, and nothing else.
kept() {
    local found=$(said "found-$1") before=${acknowledged[$1]:-0}
    case $found in
    "$before" | "$((before + 1))") found=kept ;;
    esac
    check "cut $2: $1, acknowledged $before" "$found" kept
}

declare -A acknowledged=() hits=()
control_lost=0 jobs=""
for ((cut = 0; cut <= cuts; cut++)); do
    : > "$work/console"
    qemu-system-x86_64 -accel tcg -cpu max -m 512 -smp 2 -nodefaults -no-user-config -no-reboot -display none \
        -serial "file:$work/console" -kernel "$kernel/vmlinuz" -initrd "$work/initrd.gz" \
        -drive "file=$work/disk,if=virtio,format=raw,cache=writeback" -append "console=ttyS0 quiet panic=-1 $jobs" \
        < /dev/null 2> "$work/errors" &
    machine=$!
    if ! until_said work; then
        check "boot $cut comes to its work" "$(console | tail -n 5; head -n 3 "$work/errors")" ""
        break
    fi
    if [ $cut -gt 0 ]; then
        check "cut $cut: the disk mounts" "$(said mounted)" yes
        for what in upgrade import trust; do kept $what $cut; done
    fi
    if [ "${acknowledged[upgrade]:-0}" -gt 0 ]; then
        check "cut $cut: every file of the CLI has its sum" "$(said sums)" whole
        check "cut $cut: the next ensure" "$(said ensure)" "0, nothing left behind"
        check "cut $cut: the status is whole" "$(said status | jq -r .codex.present 2>&1)" true
        [ -z "$jobs" ] || check "cut $cut: an accepted job has ended" "$(said found-accepted | sed 's/failed/succeeded/')" succeeded
        case $jobs in *succeeded=*) check "cut $cut: a job that had succeeded still has" "$(said found-succeeded)" "succeeded 7" ;; esac
        [ "$(said found-control)" -ge "${acknowledged[control]:-0}" ] 2> /dev/null || control_lost=$((control_lost + 1))
    fi
    [ $cut -lt "$cuts" ] || break
    # Anywhere in the next rounds of work, at a moment that the seed chooses.
    sleep "$((RANDOM % 6)).$((RANDOM % 1000 + 1000))"
    kill -9 "$machine" && { wait "$machine" || true; } 2> /dev/null
    machine=""
    for what in upgrade import trust control; do acknowledged[$what]=$(said "done-$what" | grep . || said "found-$what"); done
    for what in accepted succeeded; do
        job=$(said "job-$what")
        [ -z "$job" ] || acknowledged[$what]=$job
    done
    jobs="${acknowledged[accepted]:+accepted=${acknowledged[accepted]}} ${acknowledged[succeeded]:+succeeded=${acknowledged[succeeded]}}"
    jobs=${jobs# }
    check "cut $((cut + 1)): nothing failed before it" "$(said failed)" ""
    under_way=$(said doing)
    hits[$under_way]=$((${hits[$under_way]:-0} + 1))
done
for what in "${!hits[@]}"; do echo "power cut during $what: ${hits[$what]}"; done | sort
echo "upgrades acknowledged: ${acknowledged[upgrade]:-0}; control without sync lost after $control_lost of $cuts cuts"
check "the control loses what it did not sync, else nothing is proven" "$([ $control_lost -gt 0 ] && echo lost)" lost
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
