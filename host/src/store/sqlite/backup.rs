//! A copy of a store's file, made while a host works with it.
//!
//! `VACUUM INTO` on a connection of its own reads one state of the store. Whoever writes goes on meanwhile, into a log
//! that can't be written back before the copy is made, and so grows for as long. The copy is compact and has nothing
//! beside it; opened as a store, it goes on from there.
//!
//! The copy appears under its name only when it is whole, checked, and on stable storage. Until then it is beside it, as
//! `<name>.partial`; a killed process leaves that there, to be removed by hand.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::{file, migration};
use crate::store::StoreError;

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Backup {
    /// Where it is.
    pub file: PathBuf,
    /// How large it is.
    pub bytes: u64,
    /// The version of its schema: a Hearth that knows this one or a later one can open it.
    pub schema: i64,
}

/// Copies the store at `from` to the file `to`, which must not exist; readable by its owner only. Blocks, for about as
/// long as it takes to read and write the file.
///
/// # Errors
/// [`StoreError::Unavailable`] with the file and the cause; then there is nothing at `to` that was not there before.
pub fn back_up(from: &Path, to: &Path) -> Result<Backup, StoreError> {
    if to.symlink_metadata().is_ok() {
        return Err(file::cannot(to, &"it exists already; a backup overwrites nothing"));
    }
    let partial = Partial::beside(to)?;
    let schema = copy(from, &partial.path).map_err(|error| match error {
        StoreError::Unavailable(cause) => file::cannot(from, &cause),
        other => other,
    })?;
    let bytes = partial.publish(to).map_err(|error| file::cannot(to, &error))?;
    Ok(Backup { file: to.to_owned(), bytes, schema })
}

/// Copies, checks the copy, and answers the version of its schema.
fn copy(from: &Path, to: &Path) -> Result<i64, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = file::connect(from, flags)?;
    migration::refuse_newer(&source, &from.display().to_string(), migration::STEPS)?;
    let path = to.to_str().ok_or_else(|| StoreError::Unavailable("a backup's path must be UTF-8".into()))?;
    source.execute("VACUUM INTO ?1", [path])?;
    let copied = Connection::open_with_flags(to, flags)?;
    let found: String = copied.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(StoreError::Unavailable(format!("the copy is damaged: {found}").into()));
    }
    migration::version(&copied)
}

/// A copy that is being made, as `<name>.partial`; that name goes in any case.
pub(super) struct Partial {
    path: PathBuf,
}

impl Partial {
    /// Makes the file that is to be `to`, for its owner only, before anything is in it.
    pub(super) fn beside(to: &Path) -> Result<Self, StoreError> {
        let path = file::beside(to, ".partial");
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => Ok(Self { path }),
            Err(error) => {
                let remedy = if error.kind() == io::ErrorKind::AlreadyExists {
                    "; another copy is being made there, or was broken off: remove it then"
                } else {
                    ""
                };
                Err(StoreError::Unavailable(format!("{}: {error}{remedy}", path.display()).into()))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, which nothing else may have by now, and answers its size.
    pub(super) fn publish(&self, name: &Path) -> io::Result<u64> {
        let copy = File::open(&self.path)?;
        copy.sync_all()?;
        fs::hard_link(&self.path, name)?;
        let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(copy.metadata()?.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "what is left of a backup can't be removed");
        }
    }
}
