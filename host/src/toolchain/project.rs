//! A plugin's crate, as far as building it needs to know: its name, its workspace, and the files it is built from.
//!
//! Read from `Cargo.toml` itself rather than asked of cargo: whether a component is stale can then be told at once, on a
//! machine without Rust too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{BuildError, script::Script, source::Source};

/// SHA-256, in hex, over what the plugin in this folder is built from within reach of its repository. Of a crate:
/// `Cargo.toml`, `build.rs` and `src/` of it and of every crate it depends on by path, what those inherit from their
/// workspace, and what they name in `[package.metadata.hearth] sources`. In JavaScript and Python: the manifest, the file that
/// pins the tools, `src/`, `wit/`, and the interface. Not part of it: packages from a registry, and the compiler.
pub fn sources_hash(project: &Path) -> Result<String, BuildError> {
    Source::read(project)?.sources_hash()
}

/// The folders in `plugins` that hold a plugin: a library of type `cdylib` that depends on `hearth-plugin`, or a package of
/// JavaScript or Python with a `wit` folder. In order of their names.
pub fn plugin_projects(plugins: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut projects = Vec::new();
    for folder in entries(plugins)? {
        let is_plugin = match Script::read(&folder)? {
            Some(script) => script.is_plugin(),
            None => folder.join("Cargo.toml").is_file() && Project::read(&folder)?.is_plugin(),
        };
        if is_plugin {
            projects.push(folder);
        }
    }
    Ok(projects)
}

/// Where `hearth build` puts the component of the plugin in this folder: in `dist`, beside the folder. It need not be there.
pub fn component_of(project: &Path) -> Result<PathBuf, BuildError> {
    let folder = project.canonicalize().map_err(|cause| unreadable(project, cause))?;
    let plugins = folder.parent().unwrap_or(&folder);
    Ok(plugins.join("dist").join(format!("{}.wasm", Source::read(&folder)?.name())))
}

/// The folder of the plugin whose component this is, if it is where `hearth build` would put it: beside the sources'
/// folder, under the plugin's name. The file need not be there.
pub fn sources_of(component: &Path) -> Result<Option<PathBuf>, BuildError> {
    let Some(plugins) = component.parent().and_then(Path::parent).filter(|plugins| plugins.is_dir()) else {
        return Ok(None);
    };
    for folder in plugin_projects(plugins)? {
        let source = Source::read(&folder)?;
        if component.file_stem().is_some_and(|name| name == source.name()) {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

/// A crate that was read.
#[derive(Debug)]
pub(super) struct Project {
    /// The package's name; the component is called so.
    pub(super) name: String,
    /// Where its `Cargo.toml` is. Absolute, as everything here.
    pub(super) folder: PathBuf,
    /// Where its workspace's `Cargo.toml` is; its own folder if it has none.
    pub(super) workspace: PathBuf,
    manifest: Manifest,
}

impl Project {
    pub(super) fn read(folder: &Path) -> Result<Self, BuildError> {
        let folder = folder.canonicalize().map_err(|cause| unreadable(folder, cause))?;
        let manifest = Manifest::read(&folder)?;
        let Some(package) = &manifest.package else {
            return Err(BuildError::Project {
                path: folder.join("Cargo.toml"),
                problem: "it is a workspace without a package".to_owned(),
            });
        };
        let workspace = match &package.workspace {
            Some(path) => folder.join(path),
            None => enclosing_workspace(&folder)?.unwrap_or_else(|| folder.clone()),
        };
        Ok(Self { name: package.name.clone(), folder, workspace, manifest })
    }

    pub(super) fn manifest_path(&self) -> PathBuf {
        self.folder.join("Cargo.toml")
    }

    pub(super) fn require_library(&self) -> Result<(), BuildError> {
        if self.is_dynamic_library() {
            return Ok(());
        }
        Err(BuildError::NotALibrary { path: self.manifest_path() })
    }

    /// The file stem of what the compiler makes of it.
    pub(super) fn library(&self) -> String {
        let named = self.manifest.lib.as_ref().and_then(|lib| lib.name.clone());
        named.unwrap_or_else(|| self.name.replace('-', "_"))
    }

    pub(super) fn sources_hash(&self) -> Result<String, BuildError> {
        self.sources().map(|sources| hash(&sources))
    }

    fn is_dynamic_library(&self) -> bool {
        self.manifest.lib.as_ref().is_some_and(|lib| lib.crate_type.iter().any(|kind| kind == "cdylib"))
    }

    fn is_plugin(&self) -> bool {
        self.is_dynamic_library() && self.manifest.dependencies.contains_key("hearth-plugin")
    }

    /// What it is built from, by names that do not depend on where the repository lies.
    fn sources(&self) -> Result<BTreeMap<String, Vec<u8>>, BuildError> {
        let mut sources = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let package = Self::read(&folder)?;
            if !seen.insert(package.folder.clone()) {
                continue;
            }
            let own = ["Cargo.toml", "build.rs", "src"].map(PathBuf::from);
            let declared = package.manifest.declared_sources();
            for path in own.iter().filter(|path| package.folder.join(path).exists()).chain(declared) {
                add_files(&package.folder, &package.name, path, &mut sources)?;
            }
            folders.extend(package.path_dependencies(&mut sources)?);
        }
        Ok(sources)
    }

    /// The folders of the crates it depends on by path. What it inherits from its workspace is added to `sources`.
    fn path_dependencies(&self, sources: &mut BTreeMap<String, Vec<u8>>) -> Result<Vec<PathBuf>, BuildError> {
        let workspace = Manifest::read(&self.workspace)?.workspace.unwrap_or_default();
        sources
            .insert(format!("{}/workspace.package", self.name), workspace.package.to_string().into_bytes());
        let mut folders = Vec::new();
        for (name, dependency) in self.manifest.all_dependencies() {
            let (base, declared) = match dependency.get("workspace").and_then(toml::Value::as_bool) {
                Some(true) => (&self.workspace, workspace.dependencies.get(name)),
                _ => (&self.folder, Some(dependency)),
            };
            let Some(declared) = declared else { continue };
            sources.insert(format!("{}/dependencies.{name}", self.name), declared.to_string().into_bytes());
            if let Some(path) = declared.get("path").and_then(toml::Value::as_str) {
                folders.push(base.join(path));
            }
        }
        Ok(folders)
    }
}

/// The parts of a `Cargo.toml` that matter here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Manifest {
    package: Option<Package>,
    lib: Option<Library>,
    dependencies: BTreeMap<String, toml::Value>,
    build_dependencies: BTreeMap<String, toml::Value>,
    target: BTreeMap<String, TargetTable>,
    workspace: Option<Workspace>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    workspace: Option<PathBuf>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    hearth: HearthMetadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HearthMetadata {
    sources: Vec<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Library {
    name: Option<String>,
    crate_type: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct TargetTable {
    dependencies: BTreeMap<String, toml::Value>,
    build_dependencies: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Workspace {
    package: toml::Table,
    dependencies: BTreeMap<String, toml::Value>,
}

impl Manifest {
    fn read(folder: &Path) -> Result<Self, BuildError> {
        let path = folder.join("Cargo.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) => {
                return Err(BuildError::Project { path, problem: format!("it can't be read ({cause})") });
            }
        };
        toml::from_str(&text)
            .map_err(|error| BuildError::Project { path, problem: error.message().to_owned() })
    }

    fn declared_sources(&self) -> &[PathBuf] {
        self.package.as_ref().map_or(&[], |package| &package.metadata.hearth.sources)
    }

    fn all_dependencies(&self) -> impl Iterator<Item = (&String, &toml::Value)> {
        let of_targets =
            self.target.values().flat_map(|table| [&table.dependencies, &table.build_dependencies]);
        [&self.dependencies, &self.build_dependencies].into_iter().chain(of_targets).flatten()
    }
}

/// The nearest folder, this one or above, whose `Cargo.toml` has a `[workspace]`.
fn enclosing_workspace(folder: &Path) -> Result<Option<PathBuf>, BuildError> {
    for ancestor in folder.ancestors().filter(|ancestor| ancestor.join("Cargo.toml").is_file()) {
        if Manifest::read(ancestor)?.workspace.is_some() {
            return Ok(Some(ancestor.to_path_buf()));
        }
    }
    Ok(None)
}

/// SHA-256, in hex, over names and contents.
pub(super) fn hash(sources: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    for (name, content) in sources {
        for part in [name.as_bytes(), content] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    super::dist::hex(&hash.finalize())
}

/// Adds a file, or all files below a folder, under the package's name. What editors and Python leave behind is passed over.
pub(super) fn add_files(
    folder: &Path,
    package: &str,
    relative: &Path,
    sources: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), BuildError> {
    let path = folder.join(relative);
    if path.is_dir() {
        for entry in entries(&path)? {
            let Some(name) = entry.file_name() else { continue };
            let shown = name.to_string_lossy();
            if !shown.starts_with('.') && !shown.ends_with('~') && shown != "__pycache__" {
                add_files(folder, package, &relative.join(name), sources)?;
            }
        }
        return Ok(());
    }
    let content = fs::read(&path).map_err(|cause| unreadable(&path, cause))?;
    sources.insert(format!("{package}/{}", relative.display()), content);
    Ok(())
}

/// What is in a folder, in order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(|cause| unreadable(folder, cause))?;
    entries.sort();
    Ok(entries)
}

pub(super) fn unreadable(path: &Path, cause: std::io::Error) -> BuildError {
    BuildError::File { path: path.to_path_buf(), action: "read", cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with a plugin, the crate it depends on, that crate's interface files, and another library.
    fn repository() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        write(
            "Cargo.toml",
            "[workspace.package]\nversion = \"1.0.0\"\n[workspace.dependencies]\nserde = \"1\"\nunrelated = \"1\"\n\
             hearth-plugin = { path = \"plugins/sdk\" }\n",
        );
        write(
            "plugins/dice/Cargo.toml",
            "[package]\nname = \"dice\"\n[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nhearth-plugin.workspace = true\n",
        );
        write("plugins/dice/src/lib.rs", "//! Dice.\n");
        write(
            "plugins/sdk/Cargo.toml",
            "[package]\nname = \"hearth-plugin\"\n[package.metadata.hearth]\nsources = [\"../wit\"]\n\
             [dependencies]\nserde.workspace = true\n",
        );
        write("plugins/sdk/src/lib.rs", "//! SDK.\n");
        write("plugins/wit/bot.wit", "package hearth:bot;\n");
        write("plugins/README.md", "For authors.\n");
        root
    }

    fn hash(root: &tempfile::TempDir) -> String {
        sources_hash(&root.path().join("plugins/dice")).unwrap()
    }

    #[test]
    fn the_same_sources_have_the_same_hash_wherever_they_lie() {
        let (here, there) = (repository(), repository());
        assert_eq!(hash(&here), hash(&there));
        assert_eq!(hash(&here).len(), 64);
    }

    #[test]
    fn whatever_the_plugin_is_built_from_changes_the_hash() {
        for (file, from, to) in [
            ("plugins/dice/src/lib.rs", "Dice", "Cards"),
            ("plugins/dice/Cargo.toml", "[lib]", "[lib]\nname = \"die\""),
            ("plugins/sdk/src/lib.rs", "SDK", "sdk"),
            ("plugins/wit/bot.wit", ":bot", ":bots"),
            ("Cargo.toml", "version = \"1.0.0\"", "version = \"1.0.1\""),
            ("Cargo.toml", "serde = \"1\"", "serde = \"1.1\""),
        ] {
            let root = repository();
            let before = hash(&root);
            let path = root.path().join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs::write(&path, text.replace(from, to)).unwrap();
            assert_ne!(hash(&root), before, "{file}: {from} -> {to}");
        }
    }

    #[test]
    fn what_it_is_not_built_from_leaves_the_hash_alone() {
        let root = repository();
        let before = hash(&root);
        fs::write(root.path().join("plugins/README.md"), "Changed.\n").unwrap();
        fs::write(root.path().join("plugins/dice/src/.lib.rs.swp"), "an editor's").unwrap();
        fs::create_dir(root.path().join("plugins/dice/target")).unwrap();
        fs::write(root.path().join("plugins/dice/target/out"), "built").unwrap();
        let manifest = root.path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, text.replace("unrelated = \"1\"", "unrelated = \"2\"")).unwrap();
        assert_eq!(hash(&root), before);
    }

    #[test]
    fn a_file_added_or_renamed_changes_the_hash() {
        let root = repository();
        let before = hash(&root);
        let added = root.path().join("plugins/dice/src/cup.rs");
        fs::write(&added, "").unwrap();
        let with_cup = hash(&root);
        fs::rename(&added, root.path().join("plugins/dice/src/bag.rs")).unwrap();
        assert_ne!(before, with_cup);
        assert_ne!(with_cup, hash(&root));
    }

    #[test]
    fn plugins_are_told_from_other_folders() {
        let root = repository();
        let plugins = root.path().join("plugins");
        assert_eq!(plugin_projects(&plugins).unwrap(), [plugins.join("dice")]);
    }

    #[test]
    fn a_folder_without_a_package_is_an_error_that_says_where() {
        let root = repository();
        let error = sources_hash(&root.path().join("plugins/wit")).unwrap_err().to_string();
        assert!(error.contains("plugins/wit/Cargo.toml"), "{error}");
        let error = sources_hash(root.path()).unwrap_err().to_string();
        assert!(error.contains("workspace without a package"), "{error}");
    }
}
