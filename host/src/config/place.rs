//! Where a deployment keeps its things: what an operator's command needs, and nothing that takes a secret to know.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Mistake, Problems, StoreLocation, check::Checks, raw::RawConfig, read, secret::Surroundings, shape, text,
};
use crate::id::BotName;

/// A deployment, as seen from the folder it is in.
#[derive(Debug, Clone)]
pub struct Place {
    /// `[host] data-dir`. Absolute.
    pub data_dir: PathBuf,
    /// `[store]`
    pub store: StoreLocation,
    /// The names of its bots.
    pub bots: BTreeSet<BotName>,
}

impl Place {
    /// Reads the file at `path` as far as it says where things are. Variables that it names need not be set.
    ///
    /// # Errors
    /// What is wrong with these keys, or with the file as a whole. A mistake in a bot's own table is none here.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let text = text(path)?;
        let absolute = std::path::absolute(path)
            .map_err(|source| Problems::of_file(path, Mistake::Unreadable { source }))?;
        let folder = absolute.parent().unwrap_or(&absolute);
        let (raw, findings, _) = read::read::<RawConfig>(path, &text, &shape::SCHEMA);
        let mut checks = Checks { findings, surroundings: Surroundings::new(folder, &|_| None) };
        let data_dir = checks.path("data-dir", &raw.host.data_dir);
        let store = checks.store(&raw.store, data_dir.as_deref().map_err(|reported| *reported));
        let bots = raw.bots.get().keys().map(|name| BotName::from(name.get().as_str())).collect();
        let place = || Ok(Self { data_dir: data_dir?, store: store?, bots });
        checks.findings.conclude_by_bot(place()).map(|(place, _)| place)
    }
}
