# The agents' environment for people: sourced by login shells (/etc/profile.d) and by interactive bash, so that
# `docker exec -it CONTAINER bash` followed by `codex login` writes where the service reads. Services get theirs from
# skill-init. Debian's /etc/profile resets PATH, hence the last line.
_sr_cache=${SKILL_RUNNER_AGENT_CACHE_DIR:-/opt/cache/skill-runner}
HOME=${SKILL_RUNNER_AGENT_HOME:-$_sr_cache/agent-home}
ZDOTDIR=$HOME
XDG_CONFIG_HOME=$HOME/.config
XDG_DATA_HOME=$HOME/.local/share
XDG_STATE_HOME=$HOME/.local/state
XDG_CACHE_HOME=$HOME/.cache
NPM_CONFIG_PREFIX=${SKILL_RUNNER_NPM_PREFIX:-${NPM_CONFIG_PREFIX:-$_sr_cache/npm}}
case ":$PATH:" in
  *":$NPM_CONFIG_PREFIX/bin:"*) ;;
  *) PATH=/opt/venv/bin:$NPM_CONFIG_PREFIX/bin:$PATH ;;
esac
export HOME ZDOTDIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CACHE_HOME NPM_CONFIG_PREFIX PATH
unset _sr_cache
