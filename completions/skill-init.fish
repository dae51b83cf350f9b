# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_skill_init_global_optspecs
    string join \n h/help V/version
end

function __fish_skill_init_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_skill_init_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_skill_init_using_subcommand
    set -l cmd (__fish_skill_init_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c skill-init -n "__fish_skill_init_needs_command" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_needs_command" -s V -l version -d 'Print version'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "entrypoint" -d 'Probe, plan, apply, supervise: the container start; with a command, run that in the foreground instead'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "local" -d 'The same start with everything under one local folder'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "probe" -d 'What the machine allows: kernel, Landlock, cgroup limits, capabilities, paths'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "plan" -d 'What a start would change, and why; changes nothing'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "apply" -d 'Do what the plan says, then stop'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "config" -d 'Every setting with its value and origin; secrets redacted'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "status" -d 'What runs now: services, readiness, concurrency and what binds it'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "start" -d 'Start a service'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "stop" -d 'Stop a service'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "restart" -d 'Restart a service'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "reload" -d 'Re-read the configuration, import credentials, replan'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "wait" -d 'Wait until something is so'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "health" -d 'Exit 0 if healthy, 1 if not: for HEALTHCHECK and exec probes'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "gateway" -d 'Serve /livez, /readyz, /startupz, /metrics and the terminal (run by the supervisor)'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "tui" -d 'The menu of agent commands behind the web terminal'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "agents" -d 'Agent CLIs: check, auth, ensure, upgrade, rollback, import, list, sandbox'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "trust" -d 'Trust entries of run folders, for the engines that keep such a list'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "import" -d 'Import credentials into the agent home'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "doctor" -d 'Run every check, say what is wrong and what to do'
complete -c skill-init -n "__fish_skill_init_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c skill-init -n "__fish_skill_init_using_subcommand entrypoint" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand local" -l dir -d 'The folder for data, cache, agent home and skills (SKILL_RUNNER_LOCAL_ROOT, ~/.local/share/skill-runner)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand local" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand probe" -l json -d 'Print everything as JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand probe" -l calls -d 'Print only the kernel\'s answers, as a captured root keeps them in calls.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand probe" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand plan" -l json -d 'Print JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand plan" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand apply" -l json -d 'Print the report as JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand apply" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand config" -l json -d 'Print JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand config" -l check -d 'Only validate: print nothing if all is well'
complete -c skill-init -n "__fish_skill_init_using_subcommand config" -l set -d 'Only what does not have its default'
complete -c skill-init -n "__fish_skill_init_using_subcommand config" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand status" -l socket -d 'The control socket (else SKILL_INIT_SOCKET, else the usual places)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand status" -l dir -d 'The folder of a local start (skill-init local --dir DIR)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand status" -s w -l watch -d 'Again and again, until interrupted; every 2 s, or as often as said' -r
complete -c skill-init -n "__fish_skill_init_using_subcommand status" -l json -d 'As JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand status" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand start" -l socket -d 'The control socket (else SKILL_INIT_SOCKET, else the usual places)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand start" -l dir -d 'The folder of a local start (skill-init local --dir DIR)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand start" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand stop" -l socket -d 'The control socket (else SKILL_INIT_SOCKET, else the usual places)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand stop" -l dir -d 'The folder of a local start (skill-init local --dir DIR)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand stop" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand restart" -l socket -d 'The control socket (else SKILL_INIT_SOCKET, else the usual places)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand restart" -l dir -d 'The folder of a local start (skill-init local --dir DIR)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand restart" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand reload" -l socket -d 'The control socket (else SKILL_INIT_SOCKET, else the usual places)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand reload" -l dir -d 'The folder of a local start (skill-init local --dir DIR)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand reload" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand wait" -l timeout -d 'At most this long' -r
complete -c skill-init -n "__fish_skill_init_using_subcommand wait" -l socket -d 'The control socket (else SKILL_INIT_SOCKET, else the usual places)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand wait" -l dir -d 'The folder of a local start (skill-init local --dir DIR)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand wait" -l ready -d 'Until every essential service is ready (the only thing to wait for, and the default)'
complete -c skill-init -n "__fish_skill_init_using_subcommand wait" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand health" -l timeout -d 'Deadline of the question (Kubernetes gives an exec probe 1 s)' -r
complete -c skill-init -n "__fish_skill_init_using_subcommand health" -l hold -d 'Ask on and answer when the verdict changes, at the latest after this span; a fresh "ready" is told at once' -r
complete -c skill-init -n "__fish_skill_init_using_subcommand health" -l socket -d 'The control socket (else SKILL_INIT_SOCKET, else the usual places)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand health" -l dir -d 'The folder of a local start (skill-init local --dir DIR)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand health" -l live -d 'Does the init\'s loop turn, and is no essential service given up?'
complete -c skill-init -n "__fish_skill_init_using_subcommand health" -l ready -d 'Is every essential service ready? (default)'
complete -c skill-init -n "__fish_skill_init_using_subcommand health" -l startup -d 'Is the preparation done and was every essential service ready once?'
complete -c skill-init -n "__fish_skill_init_using_subcommand health" -l json -d 'As JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand health" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand gateway" -l terminal -d 'Publish the terminal whose ttyd listens on this socket' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand gateway" -l no-health -d 'No health and metrics, only the terminal'
complete -c skill-init -n "__fish_skill_init_using_subcommand gateway" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand tui" -l limit -d 'End after this long, if that is sooner than UI_SHELL_HARD_TTL_SECONDS' -r
complete -c skill-init -n "__fish_skill_init_using_subcommand tui" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -l status-file -d 'Write the status file here instead of the data folder' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -l json -d 'Print JSON on stdout'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -l best-effort -d 'Exit 0 also where a CLI is missing or an install failed: the status and the report say so'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -f -a "check" -d 'Run each CLI\'s --version; write agent_status.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -f -a "auth" -d 'Command and credentials of each engine: ready or not, and why not; write agent_auth_status.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -f -a "ensure" -d 'Install what is missing, mend what is broken'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -f -a "upgrade" -d 'Bring to the newest version, or to the given one'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -f -a "rollback" -d 'Go back to the generation before'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -f -a "import" -d 'Import credentials into the agent home'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -f -a "list" -d 'The table of engines'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -f -a "sandbox" -d 'Which engines are confined, by what, and with which flags; write agent_sandbox.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and not __fish_seen_subcommand_from check auth ensure upgrade rollback import list sandbox help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from check" -l status-file -d 'Write the status file here instead of the data folder' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from check" -l json -d 'Print JSON on stdout'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from check" -l best-effort -d 'Exit 0 also where a CLI is missing or an install failed: the status and the report say so'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from auth" -l status-file -d 'Write the status file here instead of the data folder' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from auth" -l json -d 'Print JSON on stdout'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from auth" -l best-effort -d 'Exit 0 also where a CLI is missing or an install failed: the status and the report say so'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from auth" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from ensure" -l status-file -d 'Write the status file here instead of the data folder' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from ensure" -l json -d 'Print JSON on stdout'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from ensure" -l best-effort -d 'Exit 0 also where a CLI is missing or an install failed: the status and the report say so'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from ensure" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from upgrade" -l status-file -d 'Write the status file here instead of the data folder' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from upgrade" -l json -d 'Print JSON on stdout'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from upgrade" -l best-effort -d 'Exit 0 also where a CLI is missing or an install failed: the status and the report say so'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from upgrade" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from rollback" -l status-file -d 'Write the status file here instead of the data folder' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from rollback" -l json -d 'Print JSON on stdout'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from rollback" -l best-effort -d 'Exit 0 also where a CLI is missing or an install failed: the status and the report say so'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from rollback" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from import" -l status-file -d 'Write the status file here instead of the data folder' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from import" -l force -d 'Overwrite even where the destination is fresher'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from import" -l json -d 'Print JSON on stdout'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from import" -l best-effort -d 'Exit 0 also where a CLI is missing or an install failed: the status and the report say so'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from list" -l status-file -d 'Write the status file here instead of the data folder' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from list" -l json -d 'Print JSON on stdout'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from list" -l best-effort -d 'Exit 0 also where a CLI is missing or an install failed: the status and the report say so'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from sandbox" -l status-file -d 'Write the status file here instead of the data folder' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from sandbox" -l fresh -d 'Probe again even where nothing changed'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from sandbox" -l json -d 'Print JSON on stdout'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from sandbox" -l best-effort -d 'Exit 0 also where a CLI is missing or an install failed: the status and the report say so'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from sandbox" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from help" -f -a "check" -d 'Run each CLI\'s --version; write agent_status.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from help" -f -a "auth" -d 'Command and credentials of each engine: ready or not, and why not; write agent_auth_status.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from help" -f -a "ensure" -d 'Install what is missing, mend what is broken'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from help" -f -a "upgrade" -d 'Bring to the newest version, or to the given one'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from help" -f -a "rollback" -d 'Go back to the generation before'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from help" -f -a "import" -d 'Import credentials into the agent home'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from help" -f -a "list" -d 'The table of engines'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from help" -f -a "sandbox" -d 'Which engines are confined, by what, and with which flags; write agent_sandbox.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand agents; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and not __fish_seen_subcommand_from add remove gc list help" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and not __fish_seen_subcommand_from add remove gc list help" -f -a "add" -d 'Trust a folder'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and not __fish_seen_subcommand_from add remove gc list help" -f -a "remove" -d 'Forget a folder'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and not __fish_seen_subcommand_from add remove gc list help" -f -a "gc" -d 'Forget every run folder that is not active'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and not __fish_seen_subcommand_from add remove gc list help" -f -a "list" -d 'Show the entries'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and not __fish_seen_subcommand_from add remove gc list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from gc" -l active -d 'A run folder that is in use; may be given more than once' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from gc" -l json -d 'Print the forgotten folders as JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from gc" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from help" -f -a "add" -d 'Trust a folder'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Forget a folder'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from help" -f -a "gc" -d 'Forget every run folder that is not active'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show the entries'
complete -c skill-init -n "__fish_skill_init_using_subcommand trust; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c skill-init -n "__fish_skill_init_using_subcommand import" -l force -d 'Import also where the present credential is fresher; it is kept beside'
complete -c skill-init -n "__fish_skill_init_using_subcommand import" -l json -d 'Print the report as JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand import" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand doctor" -l socket -d 'The control socket (else SKILL_INIT_SOCKET, else the usual places)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand doctor" -l dir -d 'The folder of a local start (skill-init local --dir DIR)' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand doctor" -l bundle -d 'Write everything that was examined into one JSON file without secrets; -: to stdout' -r -F
complete -c skill-init -n "__fish_skill_init_using_subcommand doctor" -l json -d 'Print JSON'
complete -c skill-init -n "__fish_skill_init_using_subcommand doctor" -l all -d 'Show what is right as well'
complete -c skill-init -n "__fish_skill_init_using_subcommand doctor" -l no-agents -d 'Do not run the agent CLIs'
complete -c skill-init -n "__fish_skill_init_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "entrypoint" -d 'Probe, plan, apply, supervise: the container start; with a command, run that in the foreground instead'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "local" -d 'The same start with everything under one local folder'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "probe" -d 'What the machine allows: kernel, Landlock, cgroup limits, capabilities, paths'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "plan" -d 'What a start would change, and why; changes nothing'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "apply" -d 'Do what the plan says, then stop'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "config" -d 'Every setting with its value and origin; secrets redacted'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "status" -d 'What runs now: services, readiness, concurrency and what binds it'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "start" -d 'Start a service'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "stop" -d 'Stop a service'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "restart" -d 'Restart a service'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "reload" -d 'Re-read the configuration, import credentials, replan'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "wait" -d 'Wait until something is so'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "health" -d 'Exit 0 if healthy, 1 if not: for HEALTHCHECK and exec probes'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "gateway" -d 'Serve /livez, /readyz, /startupz, /metrics and the terminal (run by the supervisor)'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "tui" -d 'The menu of agent commands behind the web terminal'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "agents" -d 'Agent CLIs: check, auth, ensure, upgrade, rollback, import, list, sandbox'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "trust" -d 'Trust entries of run folders, for the engines that keep such a list'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "import" -d 'Import credentials into the agent home'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "doctor" -d 'Run every check, say what is wrong and what to do'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and not __fish_seen_subcommand_from entrypoint local probe plan apply config status start stop restart reload wait health gateway tui agents trust import doctor help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from agents" -f -a "check" -d 'Run each CLI\'s --version; write agent_status.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from agents" -f -a "auth" -d 'Command and credentials of each engine: ready or not, and why not; write agent_auth_status.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from agents" -f -a "ensure" -d 'Install what is missing, mend what is broken'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from agents" -f -a "upgrade" -d 'Bring to the newest version, or to the given one'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from agents" -f -a "rollback" -d 'Go back to the generation before'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from agents" -f -a "import" -d 'Import credentials into the agent home'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from agents" -f -a "list" -d 'The table of engines'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from agents" -f -a "sandbox" -d 'Which engines are confined, by what, and with which flags; write agent_sandbox.json'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from trust" -f -a "add" -d 'Trust a folder'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from trust" -f -a "remove" -d 'Forget a folder'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from trust" -f -a "gc" -d 'Forget every run folder that is not active'
complete -c skill-init -n "__fish_skill_init_using_subcommand help; and __fish_seen_subcommand_from trust" -f -a "list" -d 'Show the entries'
