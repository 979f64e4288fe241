//! A plugin in JavaScript or Python: its folder, and how it becomes a component.
//!
//! The folder holds a manifest with the plugin's name, a file that pins the tools, `src/`, and a world in `wit/`:
//!
//! - JavaScript: `package.json`, whose `main` is the module that exports the interfaces; `package-lock.json`, of which
//!   componentize-js is part.
//! - Python: `pyproject.toml`; `requirements.txt` with hashes, of which componentize-py is part; a module in `src/` of the
//!   plugin's own name, with `_` for `-`.
//!
//! The interface itself is this Hearth's: the world may include what is in `hearth:bot`, without a copy of it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    BuildError,
    compiler::{answer, command},
    component,
    project::{add_files, hash, unreadable},
    tools,
    words::run_behind,
};

/// The interface, file by file.
const INTERFACE: [(&str, &str); 3] = [
    ("types.wit", include_str!("../../../plugins/wit/v1/types.wit")),
    ("host.wit", include_str!("../../../plugins/wit/v1/host.wit")),
    ("bot.wit", include_str!("../../../plugins/wit/v1/bot.wit")),
];
/// Where a world finds it.
const INTERFACE_FOLDER: &str = "wit/deps/hearth-bot";

/// What componentize-js leaves out: nothing in a plugin is behind it. Its other features bring what is printed and thrown
/// to the log, and random numbers that differ from call to call.
const DISABLED: [&str; 2] = ["http", "fetch-event"];
const COMPONENTIZE_JS: &str = "node_modules/@bytecodealliance/componentize-js/src/cli.js";
/// Its own command names a Python by a path that holds no longer, once the tools are in their place.
const COMPONENTIZE_PY: &str = "import sys; from componentize_py import script; sys.exit(script())";

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    JavaScript,
    Python,
}

/// A plugin's folder that was read.
#[derive(Debug)]
pub(super) struct Script {
    /// The plugin's name; the component is called so.
    pub(super) name: String,
    /// Absolute.
    pub(super) folder: PathBuf,
    pub(super) language: Language,
    /// JavaScript's file, Python's module.
    entry: String,
}

impl Language {
    const ALL: [Self; 2] = [Self::JavaScript, Self::Python];

    fn manifest(self) -> &'static str {
        match self {
            Self::JavaScript => "package.json",
            Self::Python => "pyproject.toml",
        }
    }

    /// The file that says which tools build it.
    pub(super) fn pins(self) -> &'static str {
        match self {
            Self::JavaScript => "package-lock.json",
            Self::Python => "requirements.txt",
        }
    }

    /// How that file is made.
    pub(super) fn pinning(self) -> &'static str {
        match self {
            Self::JavaScript => "run `npm install --package-lock-only --ignore-scripts` in that folder",
            Self::Python => "copy plugins/examples/python/requirements.txt of Hearth's repository",
        }
    }

    /// The program that runs its tools.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::JavaScript => "node",
            Self::Python => "python3",
        }
    }
}

impl Script {
    /// The plugin in this folder; none if there is no manifest of either language.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, BuildError> {
        let there = |language: &Language| folder.join(language.manifest()).is_file();
        let Some(language) = Language::ALL.into_iter().find(there) else { return Ok(None) };
        let folder = folder.canonicalize().map_err(|cause| unreadable(folder, cause))?;
        let path = folder.join(language.manifest());
        let text = fs::read_to_string(&path).map_err(|cause| unreadable(&path, cause))?;
        let wrong = |problem: String| BuildError::Project { path: path.clone(), problem };
        let (name, entry) = match language {
            Language::JavaScript => {
                let Package { name, main } =
                    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
                (name, main)
            }
            Language::Python => {
                let Pyproject { project } =
                    toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
                let module = project.name.replace('-', "_");
                (project.name, module)
            }
        };
        let usual = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if name.is_empty() || !name.chars().all(usual) {
            return Err(wrong(format!(
                "a plugin's name is of letters, digits, `-` and `_`, and not {name:?}"
            )));
        }
        Ok(Some(Self { name, folder, language, entry }))
    }

    /// Whether it is for Hearth: it has a world.
    pub(super) fn is_plugin(&self) -> bool {
        self.folder.join("wit").is_dir()
    }

    pub(super) fn sources_hash(&self) -> Result<String, BuildError> {
        self.sources().map(|sources| hash(&sources))
    }

    /// What it is built from, by names that begin in its folder; the interface among it.
    fn sources(&self) -> Result<BTreeMap<String, Vec<u8>>, BuildError> {
        let mut sources = BTreeMap::new();
        for path in [self.language.manifest(), self.language.pins(), "src", "wit"] {
            if self.folder.join(path).exists() {
                add_files(&self.folder, "", Path::new(path), &mut sources)?;
            }
        }
        for (name, content) in INTERFACE {
            sources.insert(format!("/{INTERFACE_FOLDER}/{name}"), content.into());
        }
        Ok(sources)
    }

    /// Makes the component; answers it, and what made it.
    pub(super) async fn componentize(&self) -> Result<(Vec<u8>, String), BuildError> {
        let tools = tools::installed(self).await?;
        let stage = Stage::set(self)?;
        let made = stage.0.join("component.wasm");
        let wit = stage.0.join("wit");
        let mut command = match self.language {
            Language::JavaScript => {
                let mut command = command(self.language.program().as_ref());
                command.arg(tools.join(COMPONENTIZE_JS)).arg(self.folder.join(&self.entry));
                command.arg("--wit").arg(&wit).arg("--disable").args(DISABLED).arg("--out").arg(&made);
                command
            }
            Language::Python => {
                let mut command = command(tools.join("bin/python").as_os_str());
                command.args(["-c", COMPONENTIZE_PY, "--quiet", "--wit-path"]).arg(&wit);
                command.args(["componentize", &self.entry, "--python-path"]).arg(self.folder.join("src"));
                command.arg("--output").arg(&made).env("VIRTUAL_ENV", &tools);
                command
            }
        };
        let what = format!("{} is being made a component", self.name);
        let ran = run_behind(&what, command.current_dir(&self.folder)).await;
        let ran = ran.map_err(|cause| self.cannot_start(cause))?;
        if !ran.succeeded {
            return Err(BuildError::Refused { name: self.name.clone(), words: ran.words });
        }
        let component = component::read(&made)?;
        component::check(&self.name, &component)?;
        Ok((component, self.program_version().await?))
    }

    /// What the language's program calls itself, such as `python3 3.11.7`.
    pub(super) async fn program_version(&self) -> Result<String, BuildError> {
        let program = self.language.program();
        let version = answer(command(program.as_ref()).arg("--version")).await;
        let version = version.ok_or_else(|| self.cannot_start(std::io::ErrorKind::NotFound.into()))?;
        let version = version.split_whitespace().last().unwrap_or_default();
        Ok(format!("{program} {}", version.trim_start_matches('v')))
    }

    pub(super) fn cannot_start(&self, cause: std::io::Error) -> BuildError {
        let (program, remedy) = match self.language {
            Language::JavaScript => ("node` and `npm", "install Node.js 20 or newer from https://nodejs.org"),
            Language::Python => {
                ("python3", "install Python 3.10 or newer, on Debian with the package python3-venv")
            }
        };
        BuildError::NoProgram { program, remedy, cause }
    }
}

/// A folder with the plugin's world and the interface, that goes away.
struct Stage(PathBuf);

impl Stage {
    fn set(script: &Script) -> Result<Self, BuildError> {
        let stage = Self(env::temp_dir().join(format!("hearth-build-{}", Uuid::new_v4().simple())));
        for (name, content) in script.sources()?.iter().filter(|(name, _)| name.starts_with("/wit/")) {
            let path = stage.0.join(name.trim_start_matches('/'));
            let folder = path.parent().unwrap_or(&stage.0);
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(&path, content))
                .map_err(|cause| BuildError::File { path, action: "written", cause })?;
        }
        Ok(stage)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Best effort: it lies in the folder for what is temporary.
        let _ = fs::remove_dir_all(&self.0);
    }
}

// === The parts of manifests that matter here ===

#[derive(Deserialize)]
struct Package {
    name: String,
    main: String,
}

#[derive(Deserialize)]
struct Pyproject {
    project: PythonProject,
}

#[derive(Deserialize)]
struct PythonProject {
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    const JAVASCRIPT: [(&str, &str); 4] = [
        ("package.json", r#"{"name": "dice", "main": "src/dice.js"}"#),
        ("package-lock.json", "{}"),
        ("src/dice.js", "export const handler = {};"),
        ("wit/world.wit", "package a:b;"),
    ];

    #[test]
    fn both_languages_are_told_by_their_manifests() {
        let root = folder(&JAVASCRIPT);
        let script = Script::read(root.path()).unwrap().unwrap();
        assert_eq!((script.name.as_str(), script.language), ("dice", Language::JavaScript));
        assert_eq!(script.entry, "src/dice.js");
        let root = folder(&[("pyproject.toml", "[project]\nname = \"lucky-dice\"\nversion = \"1\"\n")]);
        let script = Script::read(root.path()).unwrap().unwrap();
        assert_eq!((script.name.as_str(), script.language), ("lucky-dice", Language::Python));
        assert_eq!(script.entry, "lucky_dice");
        assert!(Script::read(folder(&[]).path()).unwrap().is_none());
    }

    #[test]
    fn a_manifest_that_says_too_little_or_something_odd_is_an_error_that_names_it() {
        for (file, content, word) in [
            ("package.json", r#"{"name": "dice"}"#, "main"),
            ("package.json", r#"{"name": "@team/dice", "main": "x"}"#, "@team/dice"),
            ("pyproject.toml", "[tool.x]\n", "project"),
        ] {
            let root = folder(&[(file, content)]);
            let error = Script::read(root.path()).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains(word), "{error}");
        }
    }

    #[test]
    fn whatever_it_is_built_from_changes_the_hash_and_nothing_else_does() {
        let root = folder(&JAVASCRIPT);
        let script = Script::read(root.path()).unwrap().unwrap();
        let mut before = script.sources_hash().unwrap();
        for (path, _) in JAVASCRIPT {
            let path = root.path().join(path);
            fs::write(&path, fs::read_to_string(&path).unwrap() + "\n").unwrap();
            let after = script.sources_hash().unwrap();
            assert_ne!(before, after, "{}", path.display());
            before = after;
        }
        fs::create_dir(root.path().join("node_modules")).unwrap();
        fs::write(root.path().join("node_modules/x.js"), "").unwrap();
        fs::write(root.path().join("README.md"), "").unwrap();
        assert_eq!(script.sources_hash().unwrap(), before);
    }

    #[test]
    fn the_stage_holds_the_world_and_the_interface_and_goes_away() {
        let root = folder(&JAVASCRIPT);
        let stage = Stage::set(&Script::read(root.path()).unwrap().unwrap()).unwrap();
        let path = stage.0.clone();
        assert_eq!(fs::read_to_string(path.join("wit/world.wit")).unwrap(), "package a:b;");
        for (name, content) in INTERFACE {
            assert_eq!(fs::read_to_string(path.join(INTERFACE_FOLDER).join(name)).unwrap(), content);
        }
        assert!(!path.join("src").exists());
        drop(stage);
        assert!(!path.exists());
    }

    #[test]
    fn the_whole_interface_is_carried() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/wit/v1");
        let mut there: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut carried = INTERFACE.map(|(name, _)| name.to_owned());
        there.sort();
        carried.sort();
        assert_eq!(there, carried);
    }
}
