//! A new bot's project: a folder that builds, tests and runs as it is, wherever it lies.
//!
//! A project has a `bots.toml` of its own, and the bot's sources in `plugins/<bot>`, where `hearth build` and `hearth dev`
//! find them. In Rust it carries the SDK with it, as it is in this Hearth; in JavaScript and Python `hearth build` supplies
//! the interface.

mod sdk;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What a bot is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust
    Rust,
    /// JavaScript
    JavaScript,
    /// Python
    Python,
}

/// Why there is no new project.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A name that bots.toml, or the language, does not take.
    #[error(
        "`{0}` can't be a new bot's name; take lower-case letters, digits and dashes, beginning with a letter, at most 32"
    )]
    Name(String),
    /// Something is there already.
    #[error("{} is there already; name another folder with `--folder`, or move it away", .0.display())]
    Taken(PathBuf),
    /// It can't be written.
    #[error("{} can't be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Names that mean something else to Rust or to the project.
const RESERVED: [&str; 7] = ["alloc", "core", "dist", "hearth-plugin", "proc-macro", "std", "test"];
/// Every project's.
const COMMON: [(&str, &str); 4] = [
    ("bots.toml", include_str!("bots.toml")),
    (".gitignore", include_str!("gitignore")),
    ("README.md", include_str!("README.txt")),
    ("plugins/@BOT@/cases.toml", include_str!("cases.toml")),
];
const RUST: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("rust/workspace.toml")),
    ("plugins/@BOT@/Cargo.toml", include_str!("rust/package.toml")),
    ("plugins/@BOT@/src/lib.rs", include_str!("rust/lib.rs.txt")),
    ("vendor/hearth-plugin/Cargo.toml", include_str!("rust/sdk.toml")),
];
const JAVASCRIPT: [(&str, &str); 5] = [
    ("plugins/@BOT@/package.json", include_str!("javascript/package.json")),
    (
        "plugins/@BOT@/package-lock.json",
        include_str!("../../../../plugins/examples/javascript/package-lock.json"),
    ),
    ("plugins/@BOT@/src/bot.js", include_str!("javascript/bot.js")),
    ("plugins/@BOT@/test/bot.test.js", include_str!("javascript/bot.test.js")),
    ("plugins/@BOT@/wit/world.wit", include_str!("world.wit")),
];
const PYTHON: [(&str, &str); 6] = [
    ("plugins/@BOT@/pyproject.toml", include_str!("python/pyproject.toml")),
    ("plugins/@BOT@/requirements.txt", include_str!("../../../../plugins/examples/python/requirements.txt")),
    ("plugins/@BOT@/src/@MODULE@.py", include_str!("python/bot.py")),
    ("plugins/@BOT@/src/answers.py", include_str!("python/answers.py")),
    ("plugins/@BOT@/test/test_answers.py", include_str!("python/test_answers.py")),
    ("plugins/@BOT@/wit/world.wit", include_str!("world.wit")),
];

/// Makes the project of a new bot in `folder`, which must not be there, or be empty.
///
/// # Errors
/// If the name does not do, or the folder can't be made.
pub fn begin(bot: &str, language: Language, folder: &Path) -> Result<(), StartError> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = bot.len() <= 32
        && bot.starts_with(|c: char| c.is_ascii_lowercase())
        && bot.chars().all(letters)
        && !RESERVED.contains(&bot);
    if !fits {
        return Err(StartError::Name(bot.to_owned()));
    }
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(StartError::Taken(folder.to_owned()));
    }
    for (path, content) in files(bot, language) {
        let path = folder.join(path);
        let written =
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, content));
        written.map_err(|cause| StartError::Write { path, cause })?;
    }
    Ok(())
}

/// Every file of the project, with its path in it.
fn files(bot: &str, language: Language) -> Vec<(String, String)> {
    let (own, name, test): (&[_], _, _) = match language {
        Language::Rust => (&RUST, "Rust", "cargo test".to_owned()),
        Language::JavaScript => (&JAVASCRIPT, "JavaScript", format!("(cd plugins/{bot} && npm test)")),
        Language::Python => (&PYTHON, "Python", format!("python3 plugins/{bot}/test/test_answers.py")),
    };
    let module = bot.replace('-', "_");
    let filled = |text: &str| {
        let named = text.replace("@BOT@", bot).replace("@MODULE@", &module);
        named.replace("@LANGUAGE@", name).replace("@TEST@", &test)
    };
    let mut files: Vec<_> =
        COMMON.iter().chain(own).map(|(path, content)| (filled(path), filled(content))).collect();
    for (path, content) in &mut files {
        if path.ends_with("package-lock.json") {
            // That of the example, which has the same tools.
            *content = content.replacen("\"name\": \"units\"", &format!("\"name\": \"{bot}\""), 2);
        }
    }
    if language == Language::Rust {
        let vendored = sdk::FILES.iter();
        files.extend(vendored.map(|(path, content)| (format!("vendor/{path}"), (*content).to_owned())));
    }
    files
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{config::Config, toolchain};

    const LANGUAGES: [Language; 3] = [Language::Rust, Language::JavaScript, Language::Python];

    #[test]
    fn a_new_project_is_one_that_hearth_finds_its_way_in() {
        for language in LANGUAGES {
            let folder = tempfile::tempdir().unwrap();
            let project = folder.path().join("my-bot");
            begin("my-bot", language, &project).unwrap();
            let config = Config::load(&project.join("bots.toml")).unwrap();
            let component = &config.bots[&"my-bot".into()].plugin;
            let sources = toolchain::sources_of(component).unwrap();
            assert_eq!(sources, Some(project.join("plugins/my-bot")), "{language:?}");
            toolchain::sources_hash(&sources.unwrap()).unwrap();
            for (path, content) in files("my-bot", language) {
                assert!(
                    !path.contains('@') && !content.contains("@BOT@") && !content.contains("units"),
                    "{path}"
                );
            }
            assert!(matches!(begin("my-bot", language, &project), Err(StartError::Taken(_))));
        }
    }

    #[test]
    fn names_that_would_not_do_later_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "-bot", "7bot", "My", "a_b", "a/b", "std", "hearth-plugin", &"a".repeat(33)] {
            let refused = begin(name, Language::Rust, &folder.path().join("new"));
            assert!(matches!(refused, Err(StartError::Name(_))), "{name}");
        }
        assert!(!folder.path().join("new").exists());
    }

    #[test]
    fn the_whole_sdk_goes_along_with_the_crates_that_it_needs_here() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut there = BTreeSet::new();
        let mut folders = vec![repository.join("plugins/sdk/src"), repository.join("plugins/wit/v1")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else {
                    let path = entry.strip_prefix(repository.join("plugins")).unwrap().to_str().unwrap();
                    there.insert(path.replacen("sdk/", "hearth-plugin/", 1));
                }
            }
        }
        let along: BTreeSet<_> = sdk::FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(along, there, "host/src/toolchain/starter/sdk.rs lists them");

        let table = |path: &str| -> toml::Table {
            fs::read_to_string(repository.join(path)).unwrap().parse().unwrap()
        };
        let (ours, theirs) =
            (table("plugins/sdk/Cargo.toml"), table("host/src/toolchain/starter/rust/sdk.toml"));
        let workspace = &table("Cargo.toml")["workspace"]["dependencies"];
        let needed = ours["dependencies"].as_table().unwrap();
        assert_eq!(theirs["dependencies"].as_table().unwrap().len(), needed.len());
        for name in needed.keys() {
            assert_eq!(theirs["dependencies"][name], workspace[name], "{name}");
        }
    }
}
