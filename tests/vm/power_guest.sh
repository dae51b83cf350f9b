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

number() { sed -n 's/[^0-9]*\([0-9][0-9]*\).*/\1/p' "$1" 2> /dev/null | head -n 1; }
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
    echo "@@doing upgrade"
    echo "$upgrade.0.0" > /bin/npm.d/latest
    skill-init agents upgrade codex > /tmp/out 2>&1
    acknowledge upgrade $? $upgrade
done
