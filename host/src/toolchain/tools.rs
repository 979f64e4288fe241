//! The tools that build plugins in JavaScript and Python: those that the plugin pins, installed where only `hearth build`
//! uses them.
//!
//! They lie in the folder that `HEARTH_BUILD_TOOLS` names, else in `~/.cache/hearth/build-tools`, one set for each content of
//! the file that pins them. A set is there whole or not at all, and is never changed: the registry is asked once.
//!
//! No code of the packages runs while they are installed, and each must have the hash that the plugin gives.

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    BuildError,
    compiler::command,
    project::hash,
    script::{Language, Script},
    words::run_behind,
};

/// How often a build that waits for another's installation looks whether it is done.
const LOOKS: Duration = Duration::from_millis(200);

/// The folder with the plugin's tools, after installing them if they are not there.
pub(super) async fn installed(script: &Script) -> Result<PathBuf, BuildError> {
    let pins = pins(script)?;
    let key = &hash(&pins.iter().cloned().chain([program(script).await?]).collect())[..16];
    let cache = cache();
    let folder = cache.join(format!("{}-{key}", script.language.program()));
    if folder.is_dir() {
        return Ok(folder);
    }
    let unfinished = folder.with_extension("part");
    fs::create_dir_all(&cache).map_err(|cause| unwritable(&cache, cause))?;
    let _lock = alone(&folder.with_extension("lock")).await?;
    if folder.is_dir() {
        return Ok(folder);
    }
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(|cause| unwritable(&unfinished, cause))?;
    }
    fs::create_dir(&unfinished).map_err(|cause| unwritable(&unfinished, cause))?;
    for (name, content) in &pins {
        let path = unfinished.join(name);
        fs::write(&path, content).map_err(|cause| unwritable(&path, cause))?;
    }
    install(script, &unfinished).await?;
    fs::rename(&unfinished, &folder).map_err(|cause| unwritable(&folder, cause))?;
    Ok(folder)
}

async fn install(script: &Script, folder: &Path) -> Result<(), BuildError> {
    let commands = match script.language {
        Language::JavaScript => {
            let mut npm = command("npm".as_ref());
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            vec![npm]
        }
        Language::Python => {
            let mut venv = command("python3".as_ref());
            venv.args(["-m", "venv", "."]);
            let mut pip = command(folder.join("bin/python").as_os_str());
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--only-binary",
                ":all:",
            ]);
            pip.args(["--require-hashes", "--requirement", script.language.pins()]);
            vec![venv, pip]
        }
    };
    let what = format!("The tools that {} is built with are being installed", script.name);
    for mut command in commands {
        let ran = run_behind(&what, command.current_dir(folder))
            .await
            .map_err(|cause| script.cannot_start(cause))?;
        if !ran.succeeded {
            let path = script.folder.join(script.language.pins());
            return Err(BuildError::Install { path, words: ran.words });
        }
    }
    Ok(())
}

/// The files that say what is installed.
fn pins(script: &Script) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
    let names = match script.language {
        Language::JavaScript => vec!["package.json", script.language.pins()],
        Language::Python => vec![script.language.pins()],
    };
    let read = |name: &str| {
        let path = script.folder.join(name);
        let content = fs::read(&path).map_err(|cause| BuildError::Pins {
            path,
            remedy: script.language.pinning(),
            cause,
        })?;
        Ok((name.to_owned(), content))
    };
    names.into_iter().map(read).collect()
}

/// Python's packages are for one version of it; an environment of another would not do.
async fn program(script: &Script) -> Result<(String, Vec<u8>), BuildError> {
    let version = script.program_version().await?;
    let version = if script.language == Language::Python { version } else { String::new() };
    Ok(("program".to_owned(), version.into_bytes()))
}

/// Waits until no other process installs the same. The lock ends with the file that is answered.
async fn alone(path: &Path) -> Result<File, BuildError> {
    let file = File::create(path).map_err(|cause| unwritable(path, cause))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOKS).await,
            Err(TryLockError::Error(cause)) => return Err(unwritable(path, cause)),
        }
    }
}

fn cache() -> PathBuf {
    let configured = env::var_os("HEARTH_BUILD_TOOLS").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let usual = || env::home_dir().unwrap_or_else(env::temp_dir).join(".cache/hearth/build-tools");
    configured.unwrap_or_else(usual)
}

fn unwritable(path: &Path, cause: std::io::Error) -> BuildError {
    BuildError::File { path: path.to_path_buf(), action: "written", cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_plugin_without_pins_is_told_how_to_make_them() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("package.json"), r#"{"name": "dice", "main": "dice.js"}"#).unwrap();
        let script = Script::read(root.path()).unwrap().unwrap();
        let error = pins(&script).unwrap_err().to_string();
        assert!(error.contains("package-lock.json") && error.contains("npm install"), "{error}");
    }

    #[tokio::test]
    async fn whoever_comes_second_waits_for_the_first() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let first = alone(&path).await.unwrap();
        let second = tokio::spawn({
            let path = path.clone();
            async move { alone(&path).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
    }
}
