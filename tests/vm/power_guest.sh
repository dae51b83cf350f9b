#!/bin/sh
# Runs inside the machine: says what the last power cut left, then works until the next one.
for _ in 1 2 3 4 5 6; do for module in /modules/*.ko; do insmod "$module" 2> /dev/null; done; done
mkdir -p /mnt /import/codex /tmp
until [ -b /dev/vda ]; do sleep 0.05; done
mount -t ext4 -o commit=300,noauto_da_alloc /dev/vda /mnt && echo "@@mounted yes"
export SKILL_RUNNER_RUNTIME_MODE=container SKILL_RUNNER_DATA_DIR=/mnt/data SKILL_RUNNER_AGENT_CACHE_DIR=/mnt/cache \
    SKILL_INIT_IMPORT_DIR=/import SKILL_INIT_CATALOGUE=/tmp/table.toml SKILL_INIT_ENGINES=codex SKILL_INIT_CHECK_TIMEOUT=2m PATH=/bin
printf '[engine.codex]\ndisk_mib = 1\n' > /tmp/table.toml
echo good > /bin/npm.d/mode
echo 1.0.0 > /bin/npm.d/latest
prefix=/mnt/cache/npm
package=$prefix/lib/node_modules/@openai/codex
home=/mnt/cache/agent-home

# The worker over a root of its own: a skill and a codex that answers.
[ -d /mnt/worker ] || { cp -r /worker /mnt/worker && sync; }
env -i PATH=/bin SKILL_RUNNER_RUNTIME_MODE=local SKILL_RUNNER_LOCAL_ROOT=/mnt/worker SKILL_INIT_API_HOST=127.0.0.1 PORT=8000 \
    SKILL_RUNNER_MAX_CONCURRENT=2 skill-api > /tmp/worker.log 2>&1 &
api=http://127.0.0.1:8000
until wget -q -O /dev/null $api/ 2> /dev/null; do sleep 0.1; done
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }
# ended JOB: waits for its end and says it.
ended() {
    while :; do
        status=$(wget -q -O - "$api/v1/jobs/$1" 2> /dev/null | tr ',' '\n' | field status)
        case $status in queued | running | canceling) sleep 0.1 ;; *) break ;; esac
    done
    echo "${status:-unknown}"
}

upgrade=0 import=0 trust=0 control=0
if [ -e "$prefix/bin/codex" ]; then
    upgrade=$("$prefix/bin/codex" --version | sed -n 's/^codex-cli \([0-9]*\)\.0\.0$/\1/p')
    echo "@@sums $(cd $package && sha256sum -c sums > /tmp/out 2>&1 && echo whole || grep -v ': OK' /tmp/out | head -n 1)"
    skill-init agents ensure codex > /tmp/out 2>&1
    echo "@@ensure $?, $(find $prefix/.skill-init/staging $prefix/.skill-init/trash -mindepth 1 2> /dev/null | grep -q . \
        && echo "leftovers" || echo "nothing left behind")"
    echo "@@status $(tr -d '\n' < /mnt/data/agent_status.json)"
fi
[ ! -e $home/.codex/auth.json ] || import=$(sed -n 's/.*"token-\([0-9]*\)".*/\1/p' $home/.codex/auth.json)
trust=$(skill-init trust list codex 2> /dev/null | sed -n 's|.*/runs/\([0-9]*\).*|\1|p' | sort -n | tail -n 1)
control=$(cat /mnt/control 2> /dev/null)
for what in upgrade import trust control; do eval "echo \"@@found-$what \${$what:-0}\""; done
# The last job that was accepted, and the last that was told to have ended well, are named by the kernel's command line.
for job in $(tr ' ' '\n' < /proc/cmdline | sed -n 's/^accepted=//p'); do echo "@@found-accepted $(ended "$job")"; done
for job in $(tr ' ' '\n' < /proc/cmdline | sed -n 's/^succeeded=//p'); do
    echo "@@found-succeeded $(ended "$job") $(wget -q -O - "$api/v1/jobs/$job/result" 2> /dev/null | tr -d ' \n' | sed -n 's/.*"answer":\([0-9]*\).*/\1/p')"
done

echo "@@work"
acknowledge() { [ "$2" -eq 0 ] && echo "@@done-$1 $3" || { echo "@@failed $1: $(tail -n 3 /tmp/out)"; sleep 1; }; }
while :; do
    for what in upgrade import trust control; do eval "$what=\$((\${$what:-0} + 1))"; done
    echo "@@doing import"
    echo "{\"OPENAI_API_KEY\": \"token-$import\"}" > /import/codex/auth.json
    skill-init agents import > /tmp/out 2>&1
    acknowledge import $? $import
    echo "@@doing trust"
    mkdir -p "/runs/$trust"
    skill-init trust add codex "/runs/$trust" > /tmp/out 2>&1
    acknowledge trust $? $trust
    echo "@@doing control"
    echo $control > /mnt/control.new && mv /mnt/control.new /mnt/control
    acknowledge control $? $control
    echo "@@doing job"
    job=$(wget -q -O - --header 'content-type: application/json' \
        --post-data '{"skill_id": "demo", "engine": "codex", "input": {"topic": "power"}}' $api/v1/jobs 2> /tmp/out | field request_id)
    [ -n "$job" ] && echo "@@job-accepted $job" || echo "@@failed job: $(tail -n 3 /tmp/out /tmp/worker.log)"
    [ "$(ended "$job")" = succeeded ] && echo "@@job-succeeded $job" || echo "@@failed job $job: $(wget -q -O - "$api/v1/jobs/$job" | tr -d '\n')"
    echo "@@doing upgrade"
    echo "$upgrade.0.0" > /bin/npm.d/latest
    skill-init agents upgrade codex > /tmp/out 2>&1
    acknowledge upgrade $? $upgrade
done
