//! The output folder: components in their place, and `sources.toml`, the note of what each was built from.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{BuildError, source::Source};

const RECORD: &str = "sources.toml";
const ABOUT_THE_RECORD: &str =
    "# Written by `hearth build`: what each component was built from and by, and its own hash (SHA-256).\n";

/// A component that is not what its sources would give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The plugin.
    pub name: String,
    /// The folder of its sources.
    pub project: PathBuf,
    /// What is wrong with its component.
    pub reason: StaleReason,
}

/// What is wrong with a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleReason {
    /// There is none, or no note of what it was built from.
    Missing,
    /// Its sources are not those it was built from.
    SourcesChanged,
    /// It is not the file that was built.
    ComponentChanged,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.reason {
            StaleReason::Missing => "has not been built",
            StaleReason::SourcesChanged => "was built from other sources than these",
            StaleReason::ComponentChanged => "is not the file that was built",
        };
        write!(f, "{}.wasm {what}; run `hearth build {}`", self.name, self.project.display())
    }
}

/// Which of these projects' components in the folder `dist` are stale, in the projects' order.
pub fn stale(dist: &Path, projects: &[PathBuf]) -> Result<Vec<Stale>, BuildError> {
    let record = Record::read(dist)?;
    let mut stale = Vec::new();
    for folder in projects {
        let source = Source::read(folder)?;
        if let Some(reason) = record.reason_against(dist, &source)? {
            stale.push(Stale { name: source.name().to_owned(), project: folder.clone(), reason });
        }
    }
    Ok(stale)
}

/// Puts a component in its place and notes it. The component comes first: a crash in between leaves it stale, never wrongly
/// noted as fresh.
pub(super) fn place(
    dist: &Path,
    name: &str,
    component: &[u8],
    origin: Origin,
) -> Result<PathBuf, BuildError> {
    fs::create_dir_all(dist).map_err(|cause| unwritable(dist, cause))?;
    let path = dist.join(format!("{name}.wasm"));
    write_atomically(&path, component)?;

    // Builds in other processes wait here, so that none of two notes is lost.
    let lock = File::open(dist).map_err(|cause| unwritable(dist, cause))?;
    lock.lock().map_err(|cause| unwritable(dist, cause))?;
    let mut record = Record::read(dist)?;
    record.0.insert(name.to_owned(), Entry { origin, component: hex(&Sha256::digest(component)) });
    record.write(dist)?;
    Ok(path)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// `sources.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct Record(BTreeMap<String, Entry>);

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(flatten)]
    origin: Origin,
    component: String,
}

/// What a component was built from, and by what.
#[derive(Debug, Deserialize)]
pub(super) struct Origin {
    /// The hash of the sources.
    pub(super) sources: String,
    /// The compiler's name and version.
    pub(super) compiler: String,
}

impl Record {
    fn read(dist: &Path) -> Result<Self, BuildError> {
        let path = dist.join(RECORD);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|cause| BuildError::Record { path, cause }),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(cause) => Err(BuildError::File { path, action: "read", cause }),
        }
    }

    fn write(&self, dist: &Path) -> Result<(), BuildError> {
        let mut text = ABOUT_THE_RECORD.to_owned();
        for (name, Entry { origin: Origin { sources, compiler }, component }) in &self.0 {
            // Package names are letters, digits, dashes and underscores: a bare key. What a compiler calls itself may
            // hold anything.
            let compiler = toml::Value::from(compiler.as_str());
            let _ = write!(
                text,
                "\n[{name}]\nsources = \"{sources}\"\ncompiler = {compiler}\ncomponent = \"{component}\"\n"
            );
        }
        write_atomically(&dist.join(RECORD), text.as_bytes())
    }

    fn reason_against(&self, dist: &Path, source: &Source) -> Result<Option<StaleReason>, BuildError> {
        let path = dist.join(format!("{}.wasm", source.name()));
        let Some(entry) = self.0.get(source.name()) else { return Ok(Some(StaleReason::Missing)) };
        if !path.exists() {
            return Ok(Some(StaleReason::Missing));
        }
        if entry.origin.sources != source.sources_hash()? {
            return Ok(Some(StaleReason::SourcesChanged));
        }
        let component = super::component::read(&path)?;
        Ok((entry.component != hex(&Sha256::digest(component))).then_some(StaleReason::ComponentChanged))
    }
}

/// Writes beside the place and moves it there: who reads it sees the old content or the new.
fn write_atomically(path: &Path, content: &[u8]) -> Result<(), BuildError> {
    let beside = path.with_extension(format!("{}.tmp", Uuid::new_v4().simple()));
    fs::write(&beside, content).and_then(|()| fs::rename(&beside, path)).map_err(|cause| {
        // Best effort: what failed is told, and the name is never used again.
        let _ = fs::remove_file(&beside);
        unwritable(path, cause)
    })
}

fn unwritable(path: &Path, cause: std::io::Error) -> BuildError {
    BuildError::File { path: path.to_path_buf(), action: "written", cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plugin {
        _root: tempfile::TempDir,
        folder: PathBuf,
        dist: PathBuf,
    }

    impl Plugin {
        fn new(name: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join(name);
            fs::create_dir_all(folder.join("src")).unwrap();
            fs::write(folder.join("Cargo.toml"), format!("[package]\nname = \"{name}\"\n")).unwrap();
            fs::write(folder.join("src/lib.rs"), "//! A plugin.\n").unwrap();
            Self { folder, dist: root.path().join("dist"), _root: root }
        }

        fn place(&self, component: &[u8]) {
            let source = Source::read(&self.folder).unwrap();
            let sources = source.sources_hash().unwrap();
            place(&self.dist, source.name(), component, Origin { sources, compiler: "rustc".into() })
                .unwrap();
        }

        fn reason(&self) -> Option<StaleReason> {
            let stale = stale(&self.dist, std::slice::from_ref(&self.folder)).unwrap();
            stale.first().map(|stale| stale.reason)
        }
    }

    #[test]
    fn a_component_is_fresh_until_its_sources_change() {
        let plugin = Plugin::new("dice");
        assert_eq!(plugin.reason(), Some(StaleReason::Missing));
        plugin.place(b"built");
        assert_eq!(plugin.reason(), None);
        fs::write(plugin.folder.join("src/lib.rs"), "//! Another plugin.\n").unwrap();
        assert_eq!(plugin.reason(), Some(StaleReason::SourcesChanged));
        plugin.place(b"built again");
        assert_eq!(plugin.reason(), None);
    }

    #[test]
    fn a_component_that_was_replaced_or_removed_is_stale() {
        let plugin = Plugin::new("dice");
        plugin.place(b"built");
        fs::write(plugin.dist.join("dice.wasm"), b"something else").unwrap();
        assert_eq!(plugin.reason(), Some(StaleReason::ComponentChanged));
        fs::remove_file(plugin.dist.join("dice.wasm")).unwrap();
        assert_eq!(plugin.reason(), Some(StaleReason::Missing));
    }

    #[test]
    fn placing_keeps_the_notes_of_other_plugins_and_leaves_nothing_else_behind() {
        let plugin = Plugin::new("dice");
        let origin = Origin { sources: "0".repeat(64), compiler: "rustc \"1\"".into() };
        place(&plugin.dist, "cards", b"other", origin).unwrap();
        plugin.place(b"built");
        let mut files: Vec<_> =
            fs::read_dir(&plugin.dist).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["cards.wasm", "dice.wasm", "sources.toml"]);
        assert_eq!(plugin.reason(), None);
        assert!(Record::read(&plugin.dist).unwrap().0.contains_key("cards"));
    }

    #[test]
    fn what_is_stale_says_what_mends_it() {
        let stale = Stale {
            name: "dice".to_owned(),
            project: PathBuf::from("plugins/dice"),
            reason: StaleReason::SourcesChanged,
        };
        assert_eq!(
            stale.to_string(),
            "dice.wasm was built from other sources than these; run `hearth build plugins/dice`"
        );
    }

    #[test]
    fn the_components_of_this_repository_are_those_of_its_sources() {
        let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
        let projects = super::super::plugin_projects(&plugins).unwrap();
        assert!(!projects.is_empty());
        let stale = stale(&plugins.join("dist"), &projects).unwrap();
        assert!(stale.is_empty(), "{}", stale.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_damaged_record_is_an_error_that_says_what_to_do() {
        let plugin = Plugin::new("dice");
        plugin.place(b"built");
        fs::write(plugin.dist.join(RECORD), "[dice]\nsources = 7\n").unwrap();
        let error = stale(&plugin.dist, std::slice::from_ref(&plugin.folder)).unwrap_err().to_string();
        assert!(error.contains("sources.toml") && error.contains("hearth build"), "{error}");
    }
}
