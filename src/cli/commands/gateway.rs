//! `skill-init gateway`: run by the supervisor, or by hand beside any init that answers on the control socket.

use crate::{
    cli::{Context, output},
    control::{
        gateway::{self, Config, Credentials, Origins, Terminal},
        rundir,
    },
    exit::Exit,
    settings::{Settings, keys},
    supervise::log,
};
use std::{net::SocketAddr, path::PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Settings: SKILL_INIT_HTTP_ADDR, UI_SHELL_TTYD_BIND_HOST, UI_SHELL_TTYD_PORT, UI_BASIC_AUTH_*, SKILL_INIT_TERMINAL_ORIGINS.\n\n\
                        Exit: 0 after SIGTERM, 71 when an address cannot be listened on, 78 when the configuration is wrong."
)]
pub struct Args {
    /// Publish the terminal whose ttyd listens on this socket
    #[arg(long, value_name = "SOCKET")]
    terminal: Option<PathBuf>,
    /// No health and metrics, only the terminal
    #[arg(long)]
    no_health: bool,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    // The terminal's password is in this process's environment: no other process of the same uid may read it in
    // /proc/PID/environ or attach to us (PR_SET_DUMPABLE, prctl(2)).
    let _ = nix::sys::prctl::set_dumpable(false);
    let (settings, layout) = match context.load() {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    log::init(&settings);
    let explicit = settings.get_opt(&keys::SOCKET);
    let uid = nix::unistd::geteuid().as_raw();
    let control = rundir::candidates(explicit.as_deref(), &layout.mode, context.env.get("XDG_RUNTIME_DIR"), uid);
    let config = (|| {
        let http = if args.no_health { None } else { Some(listen_address(&settings)?) };
        let terminal = args.terminal.map(|socket| terminal(&settings, socket)).transpose()?;
        let notify = context.env.get("NOTIFY_SOCKET").map(str::to_owned);
        Ok::<_, String>(Config { http, terminal, control, notify })
    })();
    let config = match config {
        Ok(config) => config,
        Err(mistake) => {
            output::error(&mistake);
            return Exit::CONFIG;
        }
    };
    match gateway::run(config) {
        Ok(()) => Exit::OK,
        Err(error) => {
            output::error(&error.to_string());
            Exit::OS
        }
    }
}

fn listen_address(settings: &Settings) -> Result<SocketAddr, String> {
    let text = settings.get(&keys::HTTP_ADDR);
    gateway::address(&text)
        .ok_or_else(|| format!("SKILL_INIT_HTTP_ADDR: \"{text}\" is not an address such as 0.0.0.0:8079 or [::]:8079"))
}

fn terminal(settings: &Settings, socket: PathBuf) -> Result<(SocketAddr, Terminal), String> {
    let host = settings.get(&keys::TTYD_HOST);
    let ip = gateway::host(&host)
        .ok_or_else(|| format!("UI_SHELL_TTYD_BIND_HOST: \"{host}\" is not an IP address or localhost"))?;
    let port = |key| u16::try_from(settings.get(key)).unwrap_or_default();
    let origins = Origins::parse(&settings.get_opt(&keys::TERMINAL_ORIGINS).unwrap_or_default())
        .map_err(|mistake| format!("SKILL_INIT_TERMINAL_ORIGINS: {mistake}"))?;
    let credentials = if settings.get(&keys::AUTH_ENABLED) {
        let user = settings.get_opt(&keys::AUTH_USERNAME);
        let password = settings.get_opt(&keys::AUTH_PASSWORD);
        // Never open where it was meant to be closed.
        let (Some(user), Some(password)) = (user, password) else {
            return Err("UI_BASIC_AUTH_ENABLED needs UI_BASIC_AUTH_USERNAME and UI_BASIC_AUTH_PASSWORD".to_owned());
        };
        Some(Credentials::new(&user, password.expose()))
    } else {
        None
    };
    let terminal = Terminal::new(socket, credentials, origins, port(&keys::API_PORT));
    Ok((SocketAddr::new(ip, port(&keys::TTYD_PORT)), terminal))
}
