//! Makes a plugin's sources a component, and notes what it was made from. Rust is compiled for `wasm32-unknown-unknown` and
//! encoded; JavaScript and Python are put beside their interpreter by the tools that the plugin pins.
//!
//! - The same sources in Rust give the same bytes with the same compiler, wherever the checkout lies.
//! - A component appears whole or not at all: it is written beside its place and moved there.
//! - `sources.toml` in the output folder says which sources each component was built from; [`stale`] holds that against
//!   the sources as they are.
//! - Guests have a target folder of their own (`<target>/plugins`), so that neither the host's builds nor those of other
//!   plugins throw away their dependencies, or the standard library where that is built from source.
//!
//! A missing compiler, a refused program and a library that is no plugin are errors that name what mends them. The
//! compiler's own words go to standard error as they come. A build that takes longer than half an hour is ended.

mod compiler;
mod component;
mod dist;
mod project;
mod script;
mod source;
mod starter;
mod tools;
mod words;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::time::timeout;

use self::{compiler::Compiler, dist::Origin, project::Project, source::Source};
pub use self::{
    dist::{Stale, StaleReason, stale},
    project::{component_of, plugin_projects, sources_hash, sources_of},
    starter::{Language, StartError, begin},
};

/// How long one plugin may take: a first build can include the standard library, on a slow and busy machine.
const BUILD_DEADLINE: Duration = Duration::from_mins(30);

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The plugin's name: that of its package.
    pub name: String,
    /// Where it is: `<out_dir>/<name>.wasm`.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How long all of it took.
    pub took: Duration,
}

/// Why there is no component, and what mends it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder holds no package, or one that can't be read.
    #[error("{path}: {problem}; name the folder of a plugin")]
    Project {
        /// Its manifest.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The package is no library that can be a plugin.
    #[error("{path}: a plugin is a library with `[lib] crate-type = [\"cdylib\", \"rlib\"]`")]
    NotALibrary {
        /// Its `Cargo.toml`.
        path: PathBuf,
    },
    /// Nothing here can compile for WebAssembly.
    #[error(
        "no Rust on this machine can compile for WebAssembly; run `rustup target add wasm32-unknown-unknown`, or on \
         Debian 12, where that can't be downloaded, `tests/install/wasm-rust`"
    )]
    NoCompiler,
    /// `HEARTH_WASM_RUST` names a folder that does not hold what it should.
    #[error(
        "HEARTH_WASM_RUST is {folder}, but {problem}; unpack one there with `tests/install/wasm-rust {folder}`, or unset \
         the variable"
    )]
    Unusable {
        /// What the variable says.
        folder: PathBuf,
        /// What is missing there.
        problem: String,
    },
    /// The program could not be started.
    #[error("`{program}` can't be started; install Rust from https://rustup.rs, or put it on the PATH")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The language's programs are not there.
    #[error("`{program}` can't be started; {remedy}")]
    NoProgram {
        /// Their names.
        program: &'static str,
        /// How to get them.
        remedy: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Nothing says which tools build the plugin.
    #[error("{path} can't be read, and it says which tools build the plugin; {remedy}")]
    Pins {
        /// The file.
        path: PathBuf,
        /// How it is made.
        remedy: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The tools could not be installed.
    #[error(
        "the tools that {path} names can't be installed; the installer's messages are above. It asks the registry once, and \
         needs the network for that"
    )]
    Install {
        /// What says which they are.
        path: PathBuf,
        /// The end of the installer's messages.
        words: String,
    },
    /// The compiler refused the program, and has said why on standard error.
    #[error("`{name}` does not compile; the compiler's messages are above")]
    Refused {
        /// The plugin.
        name: String,
        /// The end of the compiler's messages.
        words: String,
    },
    /// It took too long and was ended.
    #[error("building `{name}` took longer than {} minutes and was ended; build it again, what is done is kept", .deadline.as_secs() / 60)]
    TooLong {
        /// The plugin.
        name: String,
        /// How long it may take.
        deadline: Duration,
    },
    /// It compiled, and is not a plugin.
    #[error("`{name}` compiled, but exports no bot; does its lib.rs call `hearth_plugin::bot!(…)`?")]
    NoBot {
        /// The plugin.
        name: String,
    },
    /// It is a component, and not a plugin.
    #[error(
        "`{name}` is a component, but no bot; does the world in its wit folder say `include hearth:bot/bot@1.0.0;`?"
    )]
    NoBotInWorld {
        /// The plugin.
        name: String,
    },
    /// It compiled, and can't be made a component.
    #[error("`{name}` can't be made a component; is its hearth-plugin the one of this Hearth?")]
    Encode {
        /// The plugin.
        name: String,
        /// What the encoder says.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file could not be read or written.
    #[error("{path} can't be {action}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// "read" or "written".
        action: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// `sources.toml` is damaged.
    #[error("{path} can't be understood; delete it and run `hearth build`")]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: toml::de::Error,
    },
}

// === impl BuildError ===

impl BuildError {
    /// What the tools said, for whoever does not see standard error; nothing if it is no tool that refused.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Install { words, .. } | Self::Refused { words, .. } => Some(words),
            _ => None,
        }
    }
}

/// Builds the plugin whose sources are in the folder `project`, as `<out_dir>/<its name>.wasm`, and notes them in
/// `<out_dir>/sources.toml`. A second build with nothing changed takes about a second in Rust, and some ten in the others.
pub async fn build(project: &Path, out_dir: &Path) -> Result<Built, BuildError> {
    let began = Instant::now();
    let source = Source::read(project)?;
    let name = source.name().to_owned();
    // Before the compiler reads them: what is changed while it runs makes the component stale, not the note wrong.
    let sources = source.sources_hash()?;
    let made = async {
        match &source {
            Source::Rust(project) => compile(project).await,
            Source::Script(script) => script.componentize().await,
        }
    };
    let Ok(made) = timeout(BUILD_DEADLINE, made).await else {
        return Err(BuildError::TooLong { name, deadline: BUILD_DEADLINE });
    };
    let (component, compiler) = made?;
    let bytes = component.len() as u64;
    let path = blocking({
        let (name, out_dir) = (name.clone(), out_dir.to_path_buf());
        move || dist::place(&out_dir, &name, &component, Origin { sources, compiler })
    });
    Ok(Built { path: path.await?, name, bytes, took: began.elapsed() })
}

/// A crate's component, and what made it.
async fn compile(project: &Project) -> Result<(Vec<u8>, String), BuildError> {
    project.require_library()?;
    let compiler = Compiler::find().await?;
    let module = compiler.compile(project).await?;
    let name = project.name.clone();
    let component = blocking(move || component::encode(&name, &component::read(&module)?)).await?;
    Ok((component, compiler.name().await))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
