//! The file system's own word of a change.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use tokio::sync::Notify;

use super::LOOK;

/// The folders that are watched.
pub(crate) struct Folders {
    /// None where the system can't watch at all.
    watcher: Option<RecommendedWatcher>,
    /// By path, with device and inode: a folder that was deleted and made again has to be watched again.
    watched: HashMap<PathBuf, (u64, u64)>,
}

impl Folders {
    pub(crate) fn new(changed: &Arc<Notify>) -> Self {
        let changed = Arc::clone(changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change, and is what we do ourselves.
            if event.is_ok_and(|event| {
                !matches!(event.kind, EventKind::Access(AccessKind::Open(_) | AccessKind::Read))
            }) {
                changed.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::info!(%error, "files can't be watched here; they are looked at every {LOOK:?}"))
            .ok();
        Self { watcher, watched: HashMap::new() }
    }

    /// Watches everything that has to change for another file to be at this path: its folder, and the folder of each link
    /// on the way.
    pub(super) async fn follow_file(&mut self, file: &Path) {
        for (step, way) in file.ancestors().enumerate() {
            let is_link =
                async || tokio::fs::symlink_metadata(way).await.is_ok_and(|metadata| metadata.is_symlink());
            if let Some(folder) = way.parent()
                && (step == 0 || is_link().await)
            {
                self.follow(folder).await;
            }
        }
    }

    /// Watches the folder, if it is there and isn't watched.
    pub(crate) async fn follow(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        let Ok(metadata) = tokio::fs::metadata(folder).await else { return };
        let identity = (metadata.dev(), metadata.ino());
        if self.watched.get(folder) == Some(&identity) {
            return;
        }
        if self.watched.insert(folder.to_owned(), identity).is_some() {
            // The watch went with the folder that it was for.
            let _ = watcher.unwatch(folder);
        }
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::info!(folder = %folder.display(), %error, "a folder can't be watched; its files are looked at every {LOOK:?}");
        }
    }
}
