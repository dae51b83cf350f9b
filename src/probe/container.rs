//! Are we in a container, and whose? Markers only; nothing depends on them but defaults and words.
#![forbid(unsafe_code)]

use super::{calls::Calls, read};
use crate::{layout::Root, settings::Environment};
use serde::Serialize;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Each marker that was found, in words a person can check.
    pub markers: Vec<String>,
    /// A pod of Kubernetes.
    pub kubernetes: bool,
    /// `None` where the pid is not known.
    pub is_pid1: Option<bool>,
    /// Our pid in our PID namespace.
    pub pid: Option<u32>,
}

impl Container {
    /// At least one marker says container.
    pub const fn is_container(&self) -> bool {
        !self.markers.is_empty()
    }
}

/// Words in a cgroup path that name an engine.
const NAMES: &[&str] = &["docker", "kubepods", "containerd", "libpod", "crio", "lxc", "garden", "ecs"];
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Looks for the markers of Docker, podman, systemd-nspawn, Kubernetes and the engines' cgroup names.
pub fn detect(root: &Root, env: &Environment) -> Container {
    container(root, env, Some(std::process::id()))
}

pub(super) fn of_calls(root: &Root, env: &Environment, calls: &Calls) -> Container {
    container(root, env, calls.pid)
}

fn container(root: &Root, env: &Environment, pid: Option<u32>) -> Container {
    let mut markers: Vec<String> = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"]
        .into_iter()
        .filter(|path| read::exists(root, path))
        .map(str::to_owned)
        .collect();
    let own = if pid == Some(1) { None } else { Some("/proc/self/cgroup") };
    for path in ["/proc/1/cgroup"].into_iter().chain(own) {
        let text = read::text(root, path).unwrap_or_default();
        if let Some(name) = NAMES.iter().find(|name| names_engine(&text, name)) {
            markers.push(format!("{path} names {name}"));
            break;
        }
    }
    let mut kubernetes = false;
    if env.get("KUBERNETES_SERVICE_HOST").is_some() {
        markers.push("env KUBERNETES_SERVICE_HOST".to_owned());
        kubernetes = true;
    }
    if read::exists(root, SERVICE_ACCOUNT) {
        markers.push(SERVICE_ACCOUNT.to_owned());
        kubernetes = true;
    }
    kubernetes |= markers.iter().any(|marker| marker.ends_with("kubepods"));
    Container { markers, kubernetes, is_pid1: pid.map(|pid| pid == 1), pid }
}

/// The name stands at the start of a path component (`/docker/ID`, `docker-ID.scope`, `kubepods.slice`).
fn names_engine(text: &str, name: &str) -> bool {
    text.split(['/', ':', '\n'])
        .any(|part| part.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', '_'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_named_by_whole_words() {
        assert!(names_engine("4:memory:/docker/abc\n", "docker"));
        assert!(names_engine("0::/system.slice/docker-abc.scope\n", "docker"));
        assert!(names_engine("0::/kubepods.slice/kubepods-pod1.slice\n", "kubepods"));
        assert!(!names_engine("0::/user.slice/dockerise.service\n", "docker"));
        assert!(!names_engine("0::/recsys\n", "ecs"));
    }

    #[test]
    fn a_pod_is_known_by_its_environment() {
        let dir = tempfile::tempdir().unwrap();
        let env = Environment([("KUBERNETES_SERVICE_HOST".to_owned(), "10.0.0.1".to_owned())].into());
        let found = container(&Root::at(dir.path()), &env, Some(1));
        assert!(found.kubernetes && found.is_container() && found.is_pid1 == Some(true));
        let found = container(&Root::at(dir.path()), &Environment::default(), None);
        assert!(!found.is_container() && found.is_pid1.is_none());
    }
}
