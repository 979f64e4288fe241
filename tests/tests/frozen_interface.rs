//! The released interface never changes: plugins that were built against it, by people we don't know, must load for years.
//!
//! `plugins/wit/frozen.sha256` holds the hash of each file of each released version. Releasing a version is writing it
//! there, once, from the folder `plugins/wit`:
//!
//! ```text
//! sha256sum v1/* > frozen.sha256
//! ```

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use hearth_tests::binary;
use sha2::{Digest, Sha256};

/// The files below `version`, by their path below `wit`, with their hashes.
fn files(wit: &Path, version: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(wit.join(version)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{version}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files.extend(self::files(wit, &name));
            continue;
        }
        let mut hash = String::new();
        for byte in Sha256::digest(fs::read(entry.path()).unwrap()) {
            write!(hash, "{byte:02x}").unwrap();
        }
        files.insert(name, hash);
    }
    files
}

#[test]
fn version_1_is_as_it_was_released() {
    let wit = binary::repository().join("plugins/wit");
    let frozen = fs::read_to_string(wit.join("frozen.sha256")).unwrap();
    let frozen: BTreeMap<String, String> = frozen
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(hash, name)| (name.to_owned(), hash.to_owned()))
        .filter(|(name, _)| name.starts_with("v1/"))
        .collect();
    let found = files(&wit, "v1");
    let names: std::collections::BTreeSet<_> = frozen.keys().chain(found.keys()).collect();
    let changed: Vec<_> = names.into_iter().filter(|&name| frozen.get(name) != found.get(name)).collect();
    assert!(
        changed.is_empty() && !found.is_empty(),
        "plugins/wit/v1 is released, and not what it was: {changed:?}. Plugins were built against it, so it stays as it is, \
         comments and all: take the change back. What is new goes into plugins/wit/v2, with a module host/src/plugin/v2 \
         beside v1 that translates between it and the host's own types."
    );
}
