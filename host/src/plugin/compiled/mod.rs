//! Compiled plugins, kept in a folder: what was compiled once is read the next time.
//!
//! - Named by the plugin's content and the engine that compiled it: another Hearth, other settings or another processor
//!   find nothing, and compile for themselves.
//! - Only its owner can read or write it; a folder for which that can't be had is not used.
//! - Files are written beside their place and moved there, so there are no half ones. There are at most [`BYTES`] and
//!   [`FILES`]; what was not used for longest goes.
//! - Nothing here is needed: whatever goes wrong is said in the log, and the plugin is compiled.

mod artifact;

use std::{
    cmp::Reverse,
    fmt::Write as _,
    fs::{self, DirBuilder, File, Permissions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use uuid::Uuid;
use wasmtime::{Engine, component::Component};

use self::artifact::Unfit;
use super::ContentHash;
use crate::causes::with_causes;

/// How much is kept. An interpreter's component has some 50 MB.
const BYTES: u64 = 1 << 30;
/// How many are kept.
const FILES: usize = 500;

/// A folder of compiled plugins.
pub(super) struct Compiled {
    folder: PathBuf,
    /// Tells engines apart that can't use each other's code.
    engine: u64,
}

// === impl Compiled ===

impl Compiled {
    /// Keeps compiled plugins in `folder`, which is made if it isn't there; nothing if it can't be this user's own.
    pub(super) fn in_folder(folder: &Path, engine: &Engine) -> Option<Self> {
        let opened = owners_folder(folder);
        let engine = fingerprint(engine);
        opened
            .inspect_err(|error| {
                tracing::warn!(folder = %folder.display(), %error, "compiled plugins can't be kept; each start compiles them anew");
            })
            .ok()
            .map(|()| Self { folder: folder.to_owned(), engine })
    }

    /// What was compiled of this content before, if it is there and sound.
    pub(super) fn get(&self, engine: &Engine, content: &ContentHash) -> Option<Component> {
        let path = self.path(content);
        match artifact::open(engine, content, &path) {
            Ok(component) => {
                // What is used is kept for longer. If the time can't be set, it only goes earlier.
                let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                Some(component)
            }
            Err(Unfit::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %path.display(), error = with_causes(&error), "a compiled plugin can't be used; it is compiled again");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// The content whose hash begins so, if it was compiled before.
    pub(super) fn find(&self, beginning: &str) -> Option<ContentHash> {
        let suffix = format!("-{:016x}", self.engine);
        let names = fs::read_dir(&self.folder).ok()?.flatten().map(|entry| entry.file_name());
        let mut hashes = names.filter_map(|name| {
            let hash = name.to_str()?.strip_suffix(&suffix)?;
            hash.starts_with(beginning).then(|| ContentHash::read(hash)).flatten()
        });
        hashes.next()
    }

    /// Keeps what was compiled of this content.
    pub(super) fn put(&self, content: &ContentHash, component: &Component) {
        let kept = artifact::sealed(content, component)
            .map_err(|error| io::Error::other(format!("{error:#}")))
            .and_then(|bytes| self.write(&self.path(content), &bytes))
            .and_then(|()| self.make_room());
        if let Err(error) = kept {
            tracing::warn!(folder = %self.folder.display(), %error, "a compiled plugin could not be kept; the next start compiles it anew");
        }
    }

    fn path(&self, content: &ContentHash) -> PathBuf {
        let mut name = String::new();
        for byte in content.0 {
            // Writing to a string can't fail.
            let _ = write!(name, "{byte:02x}");
        }
        self.folder.join(format!("{name}-{:016x}", self.engine))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let beside = self.folder.join(format!("{}.new", Uuid::new_v4().simple()));
        let written = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }

    fn make_room(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        for path in too_many(files, BYTES, FILES) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Makes the folder, or makes sure that it is this user's own.
fn owners_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    if artifact::is_owners_only(&fs::metadata(folder)?) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another user's"))
    }
}

/// Of these files, with when they were used and their sizes, those that have to go: the ones unused for longest.
fn too_many(mut files: Vec<(SystemTime, u64, PathBuf)>, bytes: u64, count: usize) -> Vec<PathBuf> {
    files.sort_by_key(|(used, ..)| Reverse(*used));
    let mut total = 0;
    let fits = |(number, (_, size, _)): &(usize, &(SystemTime, u64, PathBuf))| {
        total += size;
        total <= bytes && *number < count
    };
    let kept = files.iter().enumerate().take_while(fits).count();
    // The newest is what was asked for just now.
    files.into_iter().skip(kept.max(1)).map(|(.., path)| path).collect()
}

/// What an engine compiles for, and which Hearth asked for it.
fn fingerprint(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
