//! Where a deployment keeps its things: what an operator's command needs, and nothing that takes a secret to know.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Mistake, Problems, RawConfig, StoreLocation,
    check::{Checked, Checks},
    read,
    secret::Surroundings,
    shape,
    store::RawStore,
    text,
};
use crate::id::BotName;

/// A deployment, as seen from the folder it is in.
#[derive(Debug, Clone)]
pub struct Place {
    /// `[host] data-dir`. Absolute.
    pub data_dir: PathBuf,
    /// `[store]`; none if it takes a secret to know: see [`store`](Self::store).
    pub store: Option<StoreLocation>,
    /// The file it was read from.
    path: PathBuf,
    /// The names of its bots.
    pub bots: BTreeSet<BotName>,
}

impl Place {
    /// Reads the file at `path` as far as it says where things are. Variables that it names need not be set.
    ///
    /// # Errors
    /// What is wrong with these keys, or with the file as a whole. A mistake in a bot's own table is none here.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let (data_dir, store, bots) = read(path, &|_| None, |checks, raw, data_dir| {
            (!raw.needs_secrets()).then(|| checks.store(raw, data_dir)).transpose()
        })?;
        Ok(Self { data_dir, store, bots, path: path.to_owned() })
    }

    /// Where the store is. If it takes a secret to know, with this process's environment.
    ///
    /// # Errors
    /// What is wrong with `[store]`.
    pub fn store(&self) -> Result<StoreLocation, Problems> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let (_, store, _) = read(&self.path, &|name| std::env::var(name).ok(), |checks, raw, data_dir| {
            checks.store(raw, data_dir)
        })?;
        Ok(store)
    }
}

/// The data folder, what `store` makes of `[store]`, and the bots' names.
fn read<S>(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    store: impl FnOnce(&mut Checks<'_>, &RawStore, Checked<&Path>) -> Checked<S>,
) -> Result<(PathBuf, S, BTreeSet<BotName>), Problems> {
    let text = text(path)?;
    let absolute = std::path::absolute(path)
        .map_err(|source| Problems::of_file(path, Mistake::Unreadable { source }))?;
    let folder = absolute.parent().unwrap_or(&absolute);
    let (raw, findings, _) = read::read::<RawConfig>(path, &text, &shape::SCHEMA);
    let mut checks = Checks { findings, surroundings: Surroundings::new(folder, environment) };
    let data_dir = checks.path("data-dir", &raw.host.data_dir);
    let store = store(&mut checks, &raw.store, data_dir.as_deref().map_err(|reported| *reported));
    let bots = raw.bots.get().keys().map(|name| BotName::from(name.get().as_str())).collect();
    let place = || Ok((data_dir?, store?, bots));
    checks.findings.conclude_by_bot(place()).map(|(place, _)| place)
}
