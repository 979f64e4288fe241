//! Builds of a plugin, made without a compiler: the guest `toolbox` with another name written over its own. And what is no
//! plugin.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use sha2::{Digest, Sha256};

use crate::{
    binary,
    crooked::{Crooked, described},
};

/// The name that stands in the guest as it is built.
const NAME: &str = "build-0000000000000000";

/// The builds so far.
pub(super) struct Builds {
    guest: Vec<u8>,
    /// Where its name is in it.
    name: usize,
    /// By the hash that the host shows.
    names: BTreeMap<String, String>,
    /// A plugin that traps when it is to describe itself.
    mute: Vec<u8>,
}

impl Builds {
    /// None yet.
    ///
    /// # Panics
    /// If the guest's name does not stand in it, once.
    pub(super) fn new(folder: &Path) -> Self {
        let guest = fs::read(binary::guest("toolbox")).expect("the guest was built");
        let mut names = guest.windows(NAME.len()).enumerate().filter(|(_, bytes)| *bytes == NAME.as_bytes());
        let (Some((name, _)), None) = (names.next(), names.next()) else {
            panic!("the guest `toolbox` does not have its name in one place");
        };
        let mute = Crooked { describe: described("unreachable"), ..Crooked::default() };
        let mute = fs::read(mute.write(folder, "mute")).expect("it was just written");
        Self { guest, name, names: BTreeMap::new(), mute }
    }

    /// The build of that number.
    pub(super) fn numbered(&mut self, number: u64) -> Vec<u8> {
        let name = format!("build-{number:016}");
        let mut build = self.guest.clone();
        build[self.name..][..name.len()].copy_from_slice(name.as_bytes());
        self.names.insert(hash(&build), name);
        build
    }

    /// The name of the build with this hash.
    pub(super) fn name(&self, hash: &str) -> Option<&str> {
        self.names.get(hash).map(String::as_str)
    }

    /// Half a build.
    pub(super) fn half(&self) -> &[u8] {
        &self.guest[..self.guest.len() / 2]
    }

    /// A build for an interface that no host speaks.
    pub(super) fn for_another_host(&self) -> Vec<u8> {
        let mut build = self.guest.clone();
        let version = b"@1.0.0";
        for at in 0..build.len() - version.len() {
            if &build[at..][..version.len()] == version {
                build[at + 1] = b'9';
            }
        }
        build
    }

    /// One that traps when it is to describe itself.
    pub(super) fn mute(&self) -> &[u8] {
        &self.mute
    }
}

/// The hash of a plugin, as the host shows it.
pub(super) fn hash(plugin: &[u8]) -> String {
    let mut hash = String::new();
    for byte in &Sha256::digest(plugin)[..8] {
        write!(hash, "{byte:02x}").expect("a String takes what is written");
    }
    hash
}

/// The names of builds in a text.
pub(super) fn named(text: &str) -> impl Iterator<Item = &str> {
    let (prefix, digits) = NAME.split_at("build-".len());
    text.match_indices(prefix).filter_map(move |(at, _)| {
        let name = text.get(at..at + prefix.len() + digits.len())?;
        name[prefix.len()..].bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
    })
}
