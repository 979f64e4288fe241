//! The compiler for guests: which one there is, and how it is called.
//!
//! Tried in this order: the active toolchain, if it has the target; then a Rust that carries the standard library as source
//! and can build it for the target, as Debian's `rustc-web` and `rust-web-src` do: in the folder that `HEARTH_WASM_RUST`
//! names, on the system, in `~/.cache/hearth/wasm-rust`.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use super::{BuildError, project::Project, words::run};

const TARGET: &str = "wasm32-unknown-unknown";

/// Older ones can't compile the SDK. As `rust-version` in Cargo.toml.
const OLDEST: (u32, u32) = (1, 95);

/// How long a compiler may take to answer a question about itself.
const QUESTION_DEADLINE: Duration = Duration::from_secs(30);

/// Where libraries remember the places of their panics; see [`Compiler::flags`].
const STD_SOURCES: &str = "lib/rustlib/src/rust";

/// The profile guests are built with: small rather than fast, since a guest's time is spent at the boundary. It goes on the
/// command line, so that it holds for projects of every workspace.
const PROFILE: &str = "plugin";
const PROFILE_SETTINGS: [&str; 9] = [
    r#"inherits="release""#,
    r#"opt-level="s""#,
    "lto=true",
    "codegen-units=1",
    r#"panic="abort""#,
    "strip=true",
    "debug=false",
    "debug-assertions=false",
    "overflow-checks=false",
];

/// What would change a guest if it were set for the host's own build. (The flags given here hide `RUSTFLAGS`.)
const NOT_FOR_GUESTS: [&str; 2] = ["CARGO_INCREMENTAL", "RUSTC_WORKSPACE_WRAPPER"];

/// A way to compile a guest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Compiler {
    /// The active toolchain has the target.
    Active,
    /// This one builds the standard library too.
    WithSources(Root),
}

/// The file system root that a Rust with library sources was installed under: `/`, or a folder it was unpacked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root(PathBuf);

impl Compiler {
    pub(super) async fn find() -> Result<Self, BuildError> {
        if active_toolchain_has_the_target().await {
            return Ok(Self::Active);
        }
        if let Some(folder) = env::var_os("HEARTH_WASM_RUST").filter(|folder| !folder.is_empty()) {
            let root = Root(PathBuf::from(&folder));
            return match root.problem().await {
                None => Ok(Self::WithSources(root)),
                Some(problem) => Err(BuildError::Unusable { folder: folder.into(), problem }),
            };
        }
        let unpacked = env::home_dir().map(|home| home.join(".cache/hearth/wasm-rust"));
        for root in [Some(PathBuf::from("/")), unpacked].into_iter().flatten().map(Root) {
            if root.problem().await.is_none() {
                return Ok(Self::WithSources(root));
            }
        }
        Err(BuildError::NoCompiler)
    }

    /// What the compiler calls itself, such as `rustc 1.96.0 (ac68faa20 2026-05-25)`: the same one makes the same bytes.
    pub(super) async fn name(&self) -> String {
        let name = match self {
            Self::Active => answer(command(&active_rustc()).arg("--version")).await,
            Self::WithSources(root) => {
                let mut command = command(root.rustc().as_os_str());
                root.prepare(&mut command);
                answer(command.arg("--version")).await
            }
        };
        name.unwrap_or_default().trim().to_owned()
    }

    /// Runs cargo; answers where the core module is.
    pub(super) async fn compile(&self, project: &Project) -> Result<PathBuf, BuildError> {
        let target_folder = target_folder(env::var_os("CARGO_TARGET_DIR"), &project.workspace);
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = command(&cargo);
        command.arg("build").arg("--lib").arg("--manifest-path").arg(project.manifest_path());
        command.args(["--target", TARGET, "--profile", PROFILE]).arg("--target-dir").arg(&target_folder);
        for setting in PROFILE_SETTINGS {
            command.arg("--config").arg(format!("profile.{PROFILE}.{setting}"));
        }
        for name in NOT_FOR_GUESTS {
            command.env_remove(name);
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", self.flags(&project.workspace, cargo_home()));
        if let Self::WithSources(root) = self {
            root.prepare(&mut command);
            // The standard library's own build needs what only unreleased compilers allow, unless they are told this.
            command.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
            command.env("RUSTC", root.rustc());
        }

        let ran = run(&mut command).await;
        let ran =
            ran.map_err(|cause| BuildError::Start { program: cargo.to_string_lossy().into_owned(), cause });
        let ran = ran?;
        if !ran.succeeded {
            return Err(BuildError::Refused { name: project.name.clone(), words: ran.words });
        }
        Ok(target_folder.join(TARGET).join(PROFILE).join(project.library()).with_extension("wasm"))
    }

    /// Compiler flags, as `CARGO_ENCODED_RUSTFLAGS` wants them. Panics carry the path of their source file: with each folder
    /// that can lie elsewhere on another machine renamed, a component has the same bytes everywhere.
    fn flags(&self, workspace: &Path, cargo_home: Option<PathBuf>) -> OsString {
        let std_sources = match self {
            Self::Active => None,
            Self::WithSources(root) => Some(root.usr().join(STD_SOURCES)),
        };
        // The last that fits is taken, so the innermost folders come last.
        let renamed =
            [(Some(workspace.to_path_buf()), "/plugin"), (cargo_home, "/cargo"), (std_sources, "/rust")];
        let mut flags = OsString::new();
        for (folder, name) in renamed.into_iter().filter_map(|(folder, name)| Some((folder?, name))) {
            if !flags.is_empty() {
                flags.push("\x1f");
            }
            flags.push("--remap-path-prefix=");
            flags.push(folder);
            flags.push("=");
            flags.push(name);
        }
        flags
    }
}

// === impl Root ===

impl Root {
    /// What keeps it from being used; none if it can be.
    async fn problem(&self) -> Option<String> {
        if !self.rustc().is_file() {
            return Some("it holds no usr/bin/rustc".to_owned());
        }
        if !self.usr().join(STD_SOURCES).join("library").is_dir() {
            return Some(format!("it holds no usr/{STD_SOURCES}/library"));
        }
        let mut command = command(self.rustc().as_os_str());
        self.prepare(&mut command);
        let Some(answer) = answer(command.arg("--version")).await else {
            return Some("its usr/bin/rustc does not run here".to_owned());
        };
        match version(&answer) {
            Some(version) if version >= OLDEST => None,
            _ => {
                Some(format!("its usr/bin/rustc is {}, older than {}.{}", answer.trim(), OLDEST.0, OLDEST.1))
            }
        }
    }

    fn usr(&self) -> PathBuf {
        self.0.join("usr")
    }

    fn rustc(&self) -> PathBuf {
        self.usr().join("bin/rustc")
    }

    /// Lets a command find what lies under this root: the compiler's libraries, and the linker it calls.
    fn prepare(&self, command: &mut Command) {
        if self.0 == Path::new("/") {
            return;
        }
        command.env("LD_LIBRARY_PATH", self.usr().join(format!("lib/{}-linux-gnu", env::consts::ARCH)));
        let path = env::var_os("PATH").unwrap_or_default();
        let places = std::iter::once(self.usr().join("bin")).chain(env::split_paths(&path));
        // Only a folder with a colon in its name can't be joined; then the linker is looked for where it was before.
        command.env("PATH", env::join_paths(places).unwrap_or(path.clone()));
    }
}

/// The `rustc` that cargo would use.
fn active_rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// Whether the `rustc` that cargo would use can compile for the target without further ado.
async fn active_toolchain_has_the_target() -> bool {
    match answer(command(&active_rustc()).args(["--print", "target-libdir", "--target", TARGET])).await {
        Some(folder) => holds_the_standard_library(Path::new(folder.trim())),
        None => false,
    }
}

fn holds_the_standard_library(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// What a program writes to its standard output; none if it can't be started, fails, or takes too long.
pub(super) async fn answer(command: &mut Command) -> Option<String> {
    let output: io::Result<std::process::Output> =
        timeout(QUESTION_DEADLINE, command.stdin(Stdio::null()).output()).await.ok()?;
    let output = output.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// The major and minor number in "rustc 1.96.0 (…)".
fn version(answer: &str) -> Option<(u32, u32)> {
    let mut numbers = answer.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Where guests are built: beside the host's own builds, never among them.
fn target_folder(configured: Option<OsString>, workspace: &Path) -> PathBuf {
    let target =
        configured.filter(|folder| !folder.is_empty()).map_or_else(|| "target".into(), PathBuf::from);
    workspace.join(target).join("plugins")
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// A program that ends when it is no longer waited for.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts build tools; they need the author's environment (proxies, registries, rustup)"
)]
pub(super) fn command(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.kill_on_drop(true);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_rustc_says() {
        assert_eq!(version("rustc 1.96.0 (Debian 1.96.0+dfsg1-1~deb12u2)\n"), Some((1, 96)));
        assert_eq!(version("rustc 1.63.0"), Some((1, 63)));
        assert_eq!(version("rustc nonsense"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn guests_are_built_beside_the_hosts_builds() {
        let workspace = Path::new("/work");
        assert_eq!(target_folder(None, workspace), Path::new("/work/target/plugins"));
        assert_eq!(target_folder(Some("".into()), workspace), Path::new("/work/target/plugins"));
        assert_eq!(target_folder(Some("/fast/target".into()), workspace), Path::new("/fast/target/plugins"));
    }

    #[test]
    fn every_folder_that_differs_between_machines_is_renamed() {
        let compiler = Compiler::WithSources(Root("/unpacked".into()));
        assert_eq!(
            compiler.flags(Path::new("/work"), Some("/root/.cargo".into())),
            "--remap-path-prefix=/work=/plugin\x1f--remap-path-prefix=/root/.cargo=/cargo\x1f\
             --remap-path-prefix=/unpacked/usr/lib/rustlib/src/rust=/rust"
        );
        assert_eq!(Compiler::Active.flags(Path::new("/work"), None), "--remap-path-prefix=/work=/plugin");
    }

    #[tokio::test]
    async fn a_root_says_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root(folder.path().to_path_buf());
        assert_eq!(root.problem().await.as_deref(), Some("it holds no usr/bin/rustc"));
        std::fs::create_dir_all(folder.path().join("usr/bin")).unwrap();
        std::fs::write(root.rustc(), "not a program").unwrap();
        assert_eq!(root.problem().await.as_deref(), Some("it holds no usr/lib/rustlib/src/rust/library"));
        std::fs::create_dir_all(root.usr().join(STD_SOURCES).join("library")).unwrap();
        assert_eq!(root.problem().await.as_deref(), Some("its usr/bin/rustc does not run here"));
    }

    #[tokio::test]
    async fn a_compiler_that_is_too_old_is_told_from_one_that_is_missing() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let root = Root(folder.path().to_path_buf());
        std::fs::create_dir_all(folder.path().join("usr/bin")).unwrap();
        std::fs::create_dir_all(root.usr().join(STD_SOURCES).join("library")).unwrap();
        std::fs::write(root.rustc(), "#!/bin/sh\necho 'rustc 1.63.0'\n").unwrap();
        std::fs::set_permissions(root.rustc(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            root.problem().await.as_deref(),
            Some("its usr/bin/rustc is rustc 1.63.0, older than 1.95")
        );
    }
}
