//! One compiled component in a file, sealed: the only place where bytes become machine code.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

use super::super::ContentHash;

/// The seal's length, at the beginning of the file.
const SEAL: usize = 32;
/// The largest file that is read: what a plugin of the largest size becomes.
const LARGEST: u64 = 1 << 30;

/// Why a file is no artifact to be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it can't be read")]
    Unreadable(#[from] io::Error),
    #[error("others than its owner could have written it")]
    Exposed,
    #[error("it is not what was written")]
    Damaged,
    #[error("it is for another engine: {0}")]
    Foreign(String),
}

/// What is to be written for a component, so that it can be known again.
pub(super) fn sealed(content: &ContentHash, component: &Component) -> wasmtime::Result<Vec<u8>> {
    let artifact = component.serialize()?;
    let mut sealed = Vec::with_capacity(SEAL + artifact.len());
    sealed.extend_from_slice(&seal(content, &artifact));
    sealed.extend_from_slice(&artifact);
    Ok(sealed)
}

/// The component that [`sealed`] was written of, if that is what the file still is.
#[expect(unsafe_code, reason = "compiled code is loaded here, and nowhere else")]
pub(super) fn open(engine: &Engine, content: &ContentHash, path: &Path) -> Result<Component, Unfit> {
    let file = File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let bytes = owners_only(&file)?;
    let (found, artifact) = bytes.split_at_checked(SEAL).ok_or(Unfit::Damaged)?;
    if found != seal(content, artifact) {
        return Err(Unfit::Damaged);
    }
    // SAFETY: `deserialize` asks for bytes that `Component::serialize` made, unchanged. The seal is over just these bytes, in
    // our own memory, where nobody changes them between the check and the use; so no crash, full disk or flipped bit made
    // them other than what was sealed. And only this process's user could have sealed anything else: the file, as it was
    // opened, belongs to that user and is writable by no other. Whoever acts as that user needs no artifact to run code
    // as it. That they fit this engine (its version, settings, processor) is checked by wasmtime itself.
    unsafe { Component::deserialize(engine, artifact) }.map_err(|error| Unfit::Foreign(format!("{error:#}")))
}

/// What is in the file, if it is this user's own.
fn owners_only(mut file: &File) -> Result<Vec<u8>, Unfit> {
    let metadata = file.metadata()?;
    if !is_owners_only(&metadata) || !metadata.is_file() {
        return Err(Unfit::Exposed);
    }
    if metadata.len() > LARGEST {
        return Err(Unfit::Damaged);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.by_ref().take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether it is this user's, and no other's to read or write.
pub(super) fn is_owners_only(metadata: &std::fs::Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw() && (metadata.mode() & 0o777) | 0o700 == 0o700
}

/// Over the plugin's own hash too: an artifact under another plugin's name is none of that plugin.
fn seal(content: &ContentHash, artifact: &[u8]) -> [u8; SEAL] {
    Sha256::new().chain_update(content.0).chain_update(artifact).finalize().into()
}
