//! Installations in the background: at most two packages are unpacked at a time, one is switched at a time.

use super::{
    check::{Package, top_folder},
    switch::{Order, STAGING, Staging},
    version,
};
use crate::{
    error::{ApiError, ApiResult},
    files,
    http::upload::Received,
    runs::archive::{self, ArchiveError, Bounds},
    skills::Skill,
    state::App,
    store::{Install, InstallStatus},
    time::now_ms,
};
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, RwLock, RwLockReadGuard},
    time::Duration,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Packages unpacked at a time.
const AT_ONCE: usize = 2;
/// Packages that may wait: each lies on disk.
const WAITING: usize = 16;
/// A staging folder that nobody here knows is another worker's until it is this old.
const FOREIGN: Duration = Duration::from_secs(24 * 3600);

const INTERRUPTED: &str = "interrupted by a restart of the worker; nothing was changed: upload it again";

/// What installations share.
#[derive(Debug)]
pub(crate) struct Installs {
    running: Semaphore,
    places: Arc<Semaphore>,
    /// Written by a switch, read by whoever copies a skill: a copy is of one version.
    in_place: RwLock<()>,
}

impl Default for Installs {
    fn default() -> Self {
        Self {
            running: Semaphore::new(AT_ONCE),
            places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            in_place: RwLock::default(),
        }
    }
}

impl Installs {
    /// While this is held, no skill folder changes under the reader. Blocking.
    pub(crate) fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.in_place.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl App {
    /// Where uploaded packages lie until they are unpacked.
    pub(crate) fn package_uploads(&self) -> PathBuf {
        self.config.layout.data.join("skill_packages")
    }

    /// Waits until nothing is being installed; while the result is held, nothing begins to be. `None`: not in this time.
    pub async fn no_installs(&self, within: Duration) -> Option<SemaphorePermit<'_>> {
        let all = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        // Never closed.
        tokio::time::timeout(within, self.installs.running.acquire_many(all)).await.ok()?.ok()
    }

    /// 429 or 503 before an upload's first byte is read.
    pub(crate) fn accepts_packages(&self) -> ApiResult<()> {
        if self.stop.is_set() {
            return Err(ApiError::stopping());
        }
        match self.installs.places.available_permits() {
            0 => Err(ApiError::too_many("too many packages wait to be installed; retry later")),
            _ => Ok(()),
        }
    }

    /// Takes over an uploaded package; the request's id. Installation goes on in the background.
    pub(crate) async fn install_package(self: &Arc<Self>, received: Received) -> ApiResult<String> {
        received.need("file")?;
        let place = Arc::clone(&self.installs.places)
            .try_acquire_owned()
            .map_err(|_| ApiError::too_many("too many packages wait to be installed; retry later"))?;
        let mut row = Install::queued(uuid::Uuid::new_v4().to_string(), now_ms());
        let id = row.request_id.clone();
        self.store.put_install(row.clone()).await?;
        let app = Arc::clone(self);
        tokio::spawn(async move {
            let _place = place;
            let Ok(_running) = app.installs.running.acquire().await else { return };
            if app.stop.is_set() {
                // The next start tells it as interrupted.
                return;
            }
            row.status = InstallStatus::Running;
            app.keep_install(&row).await;
            let (inner, mut seen) = (Arc::clone(&app), row.clone());
            let done = tokio::task::spawn_blocking(move || {
                let result = inner.install(&mut seen, received.get("file").unwrap_or(Path::new("")));
                (seen, result)
            });
            match done.await {
                Ok((seen, result)) => {
                    row = seen;
                    row.end(result);
                }
                Err(error) => {
                    tracing::error!(%error, "an installation broke");
                    row.end(Err(vec!["a fault of the worker; its log has the cause".to_owned()]));
                }
            }
            tracing::info!(request = %row.request_id, skill = ?row.skill_id, version = ?row.version,
                status = row.status.as_str(), errors = ?row.errors, "skill package");
            if app.keep_install(&row).await && row.status == InstallStatus::Succeeded {
                app.sweep_staging(&row.request_id).await;
            }
        });
        Ok(id)
    }

    /// `false`: it could not be stored.
    async fn keep_install(&self, row: &Install) -> bool {
        let stored = self.store.put_install(Install { updated_at: now_ms(), ..row.clone() }).await;
        if let Err(error) = &stored {
            tracing::error!(request = %row.request_id, %error, "where an installation stands cannot be stored");
        }
        stored.is_ok()
    }

    /// After the request's end is stored: until then a crash must find the order.
    async fn sweep_staging(&self, request_id: &str) {
        let staging = Staging::new(self.skills.root(), request_id);
        match tokio::task::spawn_blocking(move || staging.remove()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(request_id, %error, "a staging folder stays until the next start"),
            Err(error) => tracing::error!(request_id, %error, "a staging folder stays"),
        }
    }

    /// Unpack, check, switch. Blocking. On an error the skills folder is as it was.
    fn install(&self, row: &mut Install, package: &Path) -> Result<(), Vec<String>> {
        let skills = self.skills.root().to_owned();
        let staging = Staging::new(&skills, &row.request_id);
        staging.create().map_err(|error| vec![cannot_write(&skills, &error)])?;
        let result = self.install_staged(row, &staging, package);
        if result.is_err()
            && let Err(error) = staging.remove()
        {
            tracing::warn!(request = %row.request_id, %error, "a staging folder stays until the next start");
        }
        result
    }

    fn install_staged(&self, row: &mut Install, staging: &Staging, package: &Path) -> Result<(), Vec<String>> {
        let one = |problem: String| vec![problem];
        let skills = self.skills.root();
        let bounds = Bounds::for_upload(self.config.upload_max);
        archive::unpack(package, &staging.unpacked(), bounds).map_err(|error| match error {
            ArchiveError::Io(error) => one(cannot_write(skills, &error)),
            other => one(other.to_string()),
        })?;
        let top = top_folder(&staging.unpacked()).map_err(one)?;
        row.skill_id = top.file_name().map(|name| name.to_string_lossy().into_owned());
        remove_git(&top).map_err(|error| one(cannot_write(skills, &error)))?;
        let package = Package::check(&top, &self.engines)?;
        row.version = Some(package.version.clone());
        let order = {
            let _only = self.installs.in_place.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let order = self.order(staging, &package)?;
            row.action = Some(order.action.as_str().to_owned());
            let done = staging.carry_out(&order);
            self.skills.invalidate();
            done.map_err(|error| one(cannot_write(skills, &error)))?;
            order
        };
        tracing::info!(skill = %order.skill_id, version = %order.version, action = order.action.as_str(), "skill in place");
        Ok(())
    }

    /// Compares with what is installed now.
    fn order(&self, staging: &Staging, package: &Package) -> Result<Order, Vec<String>> {
        let place = self.skills.root().join(&package.id);
        if let Some(other) = self.skills.holder(&package.id).filter(|folder| *folder != place) {
            let other = other.display();
            return Err(vec![format!(
                "the id \"{}\" belongs to the skill in {other}; remove or rename that one",
                package.id
            )]);
        }
        let old =
            Skill::read(&place, self.engines.names()).ok().map(|(skill, _)| skill).filter(|old| old.id == package.id);
        if let Some(old) = &old {
            version::may_replace(&package.version, &old.version).map_err(|problem| vec![problem])?;
        }
        staging
            .give_order(&package.id, &package.version, old.as_ref().map(|old| old.version.as_str()))
            .map_err(|error| vec![cannot_write(self.skills.root(), &error)])
    }

    /// Settles what the worker before this one left: orders are carried out, everything else has failed.
    pub(crate) async fn settle_installs(self: &Arc<Self>) {
        let known = match self.store.installs().await {
            Ok(known) => known,
            Err(error) => return tracing::error!(%error, "interrupted installations cannot be looked up"),
        };
        let ids: HashSet<String> = known.iter().map(|row| row.request_id.clone()).collect();
        let app = Arc::clone(self);
        let settled = match tokio::task::spawn_blocking(move || app.settle_staging(&ids)).await {
            Ok(settled) => settled,
            Err(error) => return tracing::error!(%error, "interrupted installations cannot be settled"),
        };
        for mut row in known {
            match settled.get(&row.request_id) {
                Some(Ok(order)) => {
                    row.skill_id = Some(order.skill_id.clone());
                    row.version = Some(order.version.clone());
                    row.action = Some(order.action.as_str().to_owned());
                    row.end(Ok(()));
                }
                Some(Err(problem)) => row.end(Err(vec![problem.clone()])),
                None if row.status.is_open() => row.end(Err(vec![INTERRUPTED.to_owned()])),
                None => continue,
            }
            tracing::warn!(request = %row.request_id, status = row.status.as_str(), "interrupted installation settled");
            // One that could not be carried out is tried again at the next start.
            if self.keep_install(&row).await && row.status == InstallStatus::Succeeded {
                self.sweep_staging(&row.request_id).await;
            }
        }
    }

    /// Blocking; what became of each order that was found.
    fn settle_staging(&self, known: &HashSet<String>) -> HashMap<String, Result<Order, String>> {
        // Packages that were never unpacked.
        if let Err(error) = files::remove_tree(&self.package_uploads()) {
            tracing::warn!(%error, "uploaded packages of an earlier worker stay");
        }
        let root = self.skills.root();
        let mut out = HashMap::new();
        for entry in fs::read_dir(root.join(STAGING)).into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
            if !known.contains(&id) && age.is_none_or(|age| age < FOREIGN) {
                continue;
            }
            let staging = Staging::new(root, &id);
            let settled = match staging.order() {
                Ok(Some(order)) => {
                    let done = staging.carry_out(&order).map(|()| order);
                    self.skills.invalidate();
                    out.insert(id, done.map_err(|error| cannot_write(root, &error)));
                    continue;
                }
                Ok(None) => staging.remove(),
                Err(error) => Err(error),
            };
            if let Err(error) = settled {
                tracing::warn!(folder = %entry.path().display(), %error, "a staging folder stays");
            }
        }
        out
    }
}

/// What the operator can do about a skills folder that refuses.
fn cannot_write(skills: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "mount it writable for the worker's user, or put the skill there yourself: it is seen without a restart"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on its volume and upload again",
        io::ErrorKind::ResourceBusy => "the skill's own folder is a mount point; update it where it comes from",
        _ => "the installed skills were left as they are",
    };
    format!("the skills folder {} cannot take the package: {error}; {advice}", skills.display())
}

/// Version control has no place in an installed skill, at any depth.
fn remove_git(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_dir = entry.file_type()?.is_dir();
        if entry.file_name() == ".git" {
            if is_dir { files::remove_tree(&entry.path())? } else { fs::remove_file(entry.path())? }
        } else if is_dir {
            remove_git(&entry.path())?;
        }
    }
    Ok(())
}
