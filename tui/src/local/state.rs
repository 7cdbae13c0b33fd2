//! The state directory: the only place of a user's machine that `ctl` writes to.
//!
//! A localcloud holds an exclusive lock on `lock` for as long as it lives, so "it runs" is a fact about the lock and not
//! about a process id that somebody else may have by now.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use stack::DeploymentName;

use crate::failure::Failure;

/// The version of `endpoint.json`.
const VERSION: u32 = 1;

/// A localcloud of this machine, as `endpoint.json` records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) name: DeploymentName,
    /// The process that holds the lock.
    pub(crate) pid: i32,
    pub(crate) endpoint_url: String,
    pub(crate) region: String,
    /// Where records are posted; absent until a deployment is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ingest_url: Option<String>,
}

impl Record {
    /// A record of this process.
    pub(crate) fn new(name: DeploymentName, endpoint_url: String, region: String) -> Self {
        let pid = nix::unistd::getpid().as_raw();
        Self { version: VERSION, name, pid, endpoint_url, region, ingest_url: None }
    }

    /// The same, with a deployment that takes records.
    pub(crate) fn ready(mut self, ingest_url: String) -> Self {
        self.ingest_url = Some(ingest_url);
        self
    }

    /// Where records are posted, or what is known instead.
    pub(crate) fn best_url(&self) -> &str {
        self.ingest_url.as_deref().unwrap_or(&self.endpoint_url)
    }
}

/// The state of one deployment of this machine.
#[derive(Debug, Clone)]
pub(crate) struct StateDirectory(PathBuf);

/// Proof that this process is the deployment's localcloud. The lock ends with the process, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    // Held, never read.
    _file: File,
}

impl StateDirectory {
    /// The directory of a deployment: below `WEIR_STATE_DIR`, else `$XDG_STATE_HOME/weir`, else `~/.local/state/weir`.
    pub(crate) fn of(name: &DeploymentName) -> Result<Self> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = variable("WEIR_STATE_DIR")
            .or_else(|| variable("XDG_STATE_HOME").map(|state| state.join("weir")))
            .or_else(|| variable("HOME").map(|home| home.join(".local/state/weir")))
            .ok_or_else(|| Failure::failed("there is no home directory to keep state in").hint("set WEIR_STATE_DIR"))?;
        Ok(Self(base.join(name.as_str())))
    }

    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where localcloud writes its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("localcloud.log")
    }

    /// Makes the directory, for its owner alone: logs of tasks hold records.
    pub(crate) fn create(&self) -> Result<()> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.with_context(|| format!("cannot create {}", self.0.display()))
    }

    /// Takes the lock; nothing when another process has it.
    pub(crate) fn lock(&self) -> Result<Option<Lock>> {
        self.create()?;
        let path = self.lock_path();
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let locked = is_free(file.try_lock()).with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(locked.then_some(Lock { _file: file }))
    }

    /// True while a localcloud lives, whatever else is known of it.
    pub(crate) fn is_locked(&self) -> Result<bool> {
        let path = self.lock_path();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
        };
        let free = is_free(file.try_lock_shared());
        free.map(|free| !free).with_context(|| format!("cannot look at the lock {}", path.display()))
    }

    /// The localcloud that runs now. One that is still starting has no record yet and is not there.
    pub(crate) fn running(&self) -> Result<Option<Record>> {
        if self.is_locked()? { self.record() } else { Ok(None) }
    }

    fn record(&self) -> Result<Option<Record>> {
        let path = self.record_path();
        match fs::read(&path) {
            Ok(bytes) => {
                let record = serde_json::from_slice(&bytes).map(Some);
                record.with_context(|| format!("{} is not readable", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes the record in one step, so that nobody reads half of it.
    pub(crate) fn write(&self, record: &Record) -> Result<()> {
        let path = self.record_path();
        let new = path.with_extension("json.new");
        fs::write(&new, serde_json::to_vec_pretty(record)?)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Forgets the record.
    pub(crate) fn forget(&self) {
        // Without the lock the record means nothing: a file that stays is only untidy.
        let _ = fs::remove_file(self.record_path());
    }

    fn record_path(&self) -> PathBuf {
        self.0.join("endpoint.json")
    }

    fn lock_path(&self) -> PathBuf {
        self.0.join("lock")
    }
}

fn is_free(attempt: Result<(), TryLockError>) -> io::Result<bool> {
    match attempt {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, StateDirectory) {
        let base = tempfile::tempdir().expect("a temporary directory");
        let state = StateDirectory::at(base.path().join("weir"));
        (base, state)
    }

    fn record() -> Record {
        let name = "weir".parse().expect("a name");
        Record::new(name, "http://127.0.0.1:1".to_owned(), "eu-central-1".to_owned())
    }

    #[test]
    fn a_record_counts_only_while_its_process_holds_the_lock() {
        let (_base, state) = directory();
        assert_eq!(state.running().expect("readable"), None);
        let lock = state.lock().expect("lockable").expect("free");
        state.write(&record()).expect("writable");
        assert_eq!(state.running().expect("readable"), Some(record()));
        drop(lock);
        assert_eq!(state.running().expect("readable"), None);
    }

    #[test]
    fn the_lock_is_given_once() {
        let (_base, state) = directory();
        let _lock = state.lock().expect("lockable").expect("free");
        assert!(state.lock().expect("lockable").is_none());
        assert!(state.is_locked().expect("readable"));
    }

    #[test]
    fn a_starting_localcloud_is_not_yet_there() {
        let (_base, state) = directory();
        let _lock = state.lock().expect("lockable").expect("free");
        assert_eq!(state.running().expect("readable"), None);
    }
}
