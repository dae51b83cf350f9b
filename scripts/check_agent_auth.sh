#!/bin/sh
# Which engines are ready to run, and why not: here, or in the running compose service.
#
#   check_agent_auth.sh [local|container]    default local
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case ${1:-local} in
    container)
        command -v docker >/dev/null || { echo "docker is missing: https://docs.docker.com/engine/install/" >&2; exit 1; }
        if [ -n "$(docker compose ps --status running -q api 2>/dev/null)" ]; then
            exec docker compose exec -T api skill-init agents auth
        fi
        exec docker compose run --rm --no-deps api skill-init agents auth
        ;;
    -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0" ;;
    *) exec "$here/agent_manager.sh" --check-auth ;;
esac
