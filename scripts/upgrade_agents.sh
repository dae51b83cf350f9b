#!/bin/sh
# Upgrade every agent CLI: here, or in the compose project's cache volume.
#
#   upgrade_agents.sh [local|container]      default local
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case ${1:-local} in
    container)
        command -v docker >/dev/null || { echo "docker is missing: https://docs.docker.com/engine/install/" >&2; exit 1; }
        # A running service is asked directly; otherwise a container is made for it.
        if [ -n "$(docker compose ps --status running -q api 2>/dev/null)" ]; then
            docker compose exec -T api skill-init agents upgrade
        else
            docker compose run --rm --no-deps api skill-init agents upgrade
        fi
        echo "Container upgrade done."
        ;;
    -h | --help)
        sed -n '2,4s/^# \{0,1\}//p' "$0"
        ;;
    *)
        "$here/agent_manager.sh" --upgrade
        echo "Local upgrade done."
        ;;
esac
