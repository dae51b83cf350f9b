//! Checks on the settings and on the ports that they name.

use super::finding::Finding;
use crate::settings::{Mistake, Mistakes, Origin, Settings, keys};
use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpListener},
    str::FromStr,
};

/// What the loader says.
pub(super) fn mistakes(mistakes: &Mistakes) -> Vec<Finding> {
    let wrong = |mistake: &Mistake| {
        Finding::wrong("settings", mistake.to_string(), "correct it; docs/environment.md lists every setting")
    };
    mistakes.0.iter().map(wrong).collect()
}

/// Settings that load.
pub(super) fn settings(settings: &Settings) -> Vec<Finding> {
    let set =
        keys::ALL.iter().filter(|spec| settings.lookup(spec).is_some_and(|(_, origin)| *origin != Origin::Default));
    let file = settings.file.as_ref().map_or_else(|| "no file".to_owned(), |path| path.display().to_string());
    let services = settings.services.len();
    let what = format!("{} of {} are set; {file}; {services} services of your own", set.count(), keys::ALL.len());
    let mut out = vec![Finding::right("settings", what)];
    let warnings = settings.warnings.iter();
    out.extend(warnings.map(|warning| Finding::warning("settings", warning.to_string(), "see docs/environment.md")));
    if !settings.get(&keys::AUTH_ENABLED) && settings.get(&keys::API) {
        let what = "no UI authentication: whoever reaches the port can run agents";
        let remedy = "set UI_BASIC_AUTH_ENABLED=true with user and password, or keep the ports off the network";
        out.push(Finding::warning("settings", what, remedy));
    }
    out
}

/// Are the ports free? Only asked where no init runs, which would hold them.
pub(super) fn ports(settings: &Settings) -> Vec<Finding> {
    let mut wanted: Vec<(SocketAddr, &str)> = Vec::new();
    let mut want = |host: String, port: i64, name| {
        // An interface's name is ttyd's to resolve.
        if let (Ok(ip), Ok(port)) = (IpAddr::from_str(&host), u16::try_from(port)) {
            wanted.push((SocketAddr::new(ip, port), name));
        }
    };
    if settings.get(&keys::API) {
        want(settings.get(&keys::API_HOST), settings.get(&keys::API_PORT), keys::API_PORT.spec.env);
    }
    if settings.get(&keys::TTYD) != "off" {
        want(settings.get(&keys::TTYD_HOST), settings.get(&keys::TTYD_PORT), keys::TTYD_PORT.spec.env);
    }
    if settings.get(&keys::GATEWAY)
        && let Ok(address) = SocketAddr::from_str(&settings.get(&keys::HTTP_ADDR))
    {
        wanted.push((address, keys::HTTP_ADDR.spec.env));
    }
    wanted.into_iter().map(|(address, name)| port(address, name)).collect()
}

fn port(address: SocketAddr, name: &str) -> Finding {
    match TcpListener::bind(address).map_err(|error| error.kind()) {
        Ok(_) => Finding::right("ports", format!("{address} is free ({name})")),
        Err(ErrorKind::AddrInUse) => {
            let remedy = format!("end what listens there (ss -ltnp), or set {name} to another port");
            Finding::wrong("ports", format!("{address} is taken by another program ({name})"), remedy)
        }
        Err(ErrorKind::PermissionDenied) => {
            let remedy = format!("set {name} to a port from 1024 on, or give the container NET_BIND_SERVICE");
            Finding::wrong("ports", format!("{address} is not for this user ({name})"), remedy)
        }
        Err(ErrorKind::AddrNotAvailable) => Finding::wrong(
            "ports",
            format!("{address} is no address of this machine ({name})"),
            format!("set {name} to an address that exists here, or 0.0.0.0"),
        ),
        Err(kind) => Finding::wrong(
            "ports",
            format!("cannot listen on {address} ({name}): {kind}"),
            "look at the network of the container",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn a_taken_port_is_wrong_and_a_free_one_right() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let found = port(address, "PORT");
        assert_eq!(found.level, Level::Wrong, "{found:?}");
        assert!(found.remedy.contains("PORT"));
    }

    #[test]
    fn an_address_of_another_machine_is_wrong() {
        // 192.0.2.0/24 is for documentation (RFC 5737) and on no machine; bind sends nothing.
        let found = port(SocketAddr::from(([192, 0, 2, 1], 8000)), "PORT");
        assert_eq!(found.level, Level::Wrong, "{found:?}");
    }
}
