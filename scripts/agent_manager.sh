#!/bin/sh
# The old agent manager's arguments, served by `skill-init agents`.
#
#   agent_manager.sh [--check | --check-auth | --ensure | --upgrade | --upgrade-engine ENGINE]
#                    [--import-credentials DIR] [--status-file FILE]
#                    [--engines all|none|ENGINE,...] [--bootstrap-report-file FILE]
#
# No mode is --check. The last two are the later releases': which engines --check, --ensure and --upgrade are about, and
# where the report of --ensure goes beside the data folder. Exit codes as ever: 0; 1 an upgrade or an import failed; 2
# usage. --check and --ensure end with 0 also where a CLI is missing: the status file says so.
# `python3 agent_manager.py` with the same arguments does the same. SKILL_INIT names the program [skill-init].
set -u
me=${0##*/}
usage() {
    echo "usage: $me [--check | --check-auth | --ensure | --upgrade | --upgrade-engine ENGINE]" >&2
    echo "       [--import-credentials DIR] [--status-file FILE] [--engines LIST] [--bootstrap-report-file FILE]" >&2
    [ $# -eq 0 ] || echo "$me: error: $*" >&2
    exit 2
}

mode='' engine='' import='' file='' report='' engines=''
choose() {
    [ -z "$mode" ] || [ "$mode" = "$1" ] || usage "argument --$1: not allowed with argument --$mode"
    mode=$1
}
while [ $# -gt 0 ]; do
    case $1 in
        *=*) option=${1%%=*} value=${1#*=} joined=yes ;;
        *) option=$1 value=${2-} joined='' ;;
    esac
    case $option in
        --check | --check-auth | --ensure | --upgrade) choose "${option#--}"; shift; continue ;;
        -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
        --upgrade-engine | --import-credentials | --status-file | --engines | --bootstrap-report-file) ;;
        *) usage "unrecognized arguments: $1" ;;
    esac
    [ -n "$value" ] || usage "argument $option: expected one argument"
    case $option in
        --upgrade-engine) choose upgrade-engine; engine=$value ;;
        --import-credentials) import=$value ;;
        --status-file) file=$value ;;
        --engines) engines=$value ;;
        --bootstrap-report-file) report=$value ;;
    esac
    shift
    [ -n "$joined" ] || shift
done

# Beside this script's folder in a source tree, else from PATH.
init=${SKILL_INIT:-}
for candidate in "${0%/*}/../target/release/skill-init" "${0%/*}/../target/quick/skill-init"; do
    [ -n "$init" ] || command -v skill-init >/dev/null 2>&1 || [ ! -x "$candidate" ] || init=$candidate
done
init=${init:-skill-init}
unset SKILL_INIT
command -v "$init" >/dev/null 2>&1 || { echo "$me: skill-init is not on PATH" >&2; exit 127; }

if [ -n "$engines" ]; then
    export SKILL_INIT_ENGINES="$engines"
    # An unknown name is a usage error here; init calls it a wrong configuration.
    "$init" agents list >/dev/null || exit 2
fi

agents() {
    if [ -n "$file" ]; then "$init" agents --status-file "$file" "$@"; else "$init" agents "$@"; fi
}

ensure() {
    if [ -z "$report" ]; then
        agents ensure --best-effort
        return
    fi
    # Readers see the old report or the new one.
    agents ensure --best-effort --json >"$report.$$" && mv "$report.$$" "$report"
    code=$?
    rm -f "$report.$$"
    return "$code"
}

status=0
if [ -n "$import" ]; then
    # A folder that is not there is an empty import, as ever.
    [ ! -d "$import" ] || "$init" agents import "$import" || status=$?
fi
case $mode in
    "" | check) agents check --best-effort || status=$? ;;
    check-auth) agents auth || status=$? ;;
    ensure) ensure || status=$? ;;
    upgrade) agents upgrade || status=$? ;;
    upgrade-engine)
        case $engine in
            *@*) usage "argument --upgrade-engine: invalid choice: '$engine'" ;;
        esac
        agents upgrade "$engine" || status=$?
        ;;
esac
exit "$status"
