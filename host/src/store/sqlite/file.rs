//! The database file: made and kept for its owner only, locked against a second process, brought up to date.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use rustix::fs::FlockOperation;

use super::{StoreError, migration};

/// How long a statement waits for another program (an operator's `sqlite3`) that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What the log may keep on the disk after it was written back, in bytes.
const LOG_KEPT: i64 = 16 * 1024 * 1024;
/// How many prepared statements each connection keeps; more than we have.
const STATEMENTS: usize = 64;

/// A database that is ready.
pub(super) struct Opened {
    /// Whoever has it has the database to himself.
    pub(super) lock: Lock,
    /// The connection that writes.
    pub(super) write: Connection,
    /// A connection that can only read.
    pub(super) read: Connection,
    /// Where the write-ahead log is.
    pub(super) log: PathBuf,
}

/// A store's lock. It is given up by name, since closing the file is not enough: a process that was started meanwhile and
/// is not yet the program it is to be has the file open too.
pub(super) struct Lock(File);

/// Opens the file, making it and its folder if need be.
pub(super) fn open(path: &Path) -> Result<Opened, StoreError> {
    let cannot = |cause: &dyn std::fmt::Display| cannot(path, cause);
    let path = make(path).map_err(|error| cannot(&error))?;
    let lock = Lock::take(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => StoreError::InUse { path: path.display().to_string() },
        _ => cannot(&error),
    })?;
    // SQLite gives its log the mode of the database.
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(|error| cannot(&error))?;

    let explain = |error: StoreError| match error {
        StoreError::Unavailable(cause) => cannot(&cause),
        other => other,
    };
    let write = prepare_writing(&path).map_err(explain)?;
    let read = prepare_reading(&path).map_err(explain)?;
    Ok(Opened { lock, write, read, log: beside(&path, "-wal") })
}

/// What keeps a file from being what it should be.
pub(super) fn cannot(path: &Path, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("{}: {cause}", path.display()).into())
}

/// Makes the folder that a file is in, for its owner only.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}

/// Makes folder and file for the owner only, and answers the file's one true path. An existing file is not opened:
/// closing it would give up the locks of a connection that this process may have.
fn make(path: &Path) -> io::Result<PathBuf> {
    make_folder(path)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::canonicalize(path),
    }
}

/// The file of that name with more behind it.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn prepare_writing(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = connect(path, flags)?;
    migration::refuse_newer(&connection, &path.display().to_string(), migration::STEPS)?;
    // Works before the first table only, and in this order: WAL mode writes the first page.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(
            format!("write-ahead logging is not possible here (SQLite chose {mode}); use a local disk")
                .into(),
        ));
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    // What must be flushed sooner than at a checkpoint is, by the flusher.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // macOS only: there, a plain flush stops at the drive's cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_KEPT, |_| Ok(()))?;
    migration::run(&mut connection, migration::STEPS)?;
    // We have the lock, so whoever held a lane has ended.
    connection.execute("DELETE FROM lane", [])?;
    Ok(connection)
}

fn prepare_reading(path: &Path) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// A connection that waits for others a while.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

// === impl Lock ===

impl Lock {
    /// It ends with the process at the latest. Its file stays: a name that comes and goes could be locked twice.
    fn take(database: &Path) -> io::Result<Self> {
        let name = beside(database, ".lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(name)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%error, "the store's lock is kept until its file is closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_given_up_is_free_though_a_child_still_has_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("hearth.db");
        let lock = Lock::take(&database).unwrap();
        let inherited = lock.0.try_clone().unwrap();
        assert_eq!(Lock::take(&database).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        assert!(Lock::take(&database).is_ok());
        drop(inherited);
    }
}
