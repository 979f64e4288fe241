//! Why a plugin can't be used: for the operator, each with what to do about it.

use std::path::PathBuf;

use super::{CallError, FILE_LIMIT};

/// Why a plugin can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// wasmtime can't run here.
    #[error("the WebAssembly engine can't start on this machine: {0}")]
    Engine(String),
    /// No such file.
    #[error("{} does not exist; build it with `hearth build`, or correct `plugin` in bots.toml", .0.display())]
    Missing(PathBuf),
    /// The file is there and can't be read.
    #[error("{} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is too large to be a plugin.
    #[error("{} has {bytes} bytes; a plugin may have {FILE_LIMIT}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Another kind of file.
    #[error("it is not WebAssembly; `plugin` must name a component or a core module with embedded WIT")]
    NotWasm,
    /// WebAssembly that does not parse, or a module that can't be made a component.
    #[error("it is not a complete component ({0}); build it again with `hearth build`")]
    Malformed(String),
    /// A component of more pieces than an instance of it could hold.
    #[error("it is made of {found} {what}, and a plugin may have {limit}; link it of fewer modules")]
    Pieces {
        /// Which.
        what: &'static str,
        /// How many it has.
        found: u32,
        /// How many it may have.
        limit: u32,
    },
    /// A component that is something else.
    #[error(
        "it exports {found} and not `hearth:bot/handler`, so it is not a Hearth plugin; build it with `hearth build`, against \
         a world that includes `hearth:bot/bot`"
    )]
    NotAPlugin {
        /// What it exports instead.
        found: String,
    },
    /// Built for an interface this host does not speak.
    #[error(
        "it was built for hearth:bot@{found}, and this Hearth speaks hearth:bot@{supported}; rebuild it with this Hearth's \
         `hearth build`: a Rust plugin with the `hearth-plugin` of this Hearth, one in JavaScript or Python with a world that \
         includes hearth:bot/bot@{supported}"
    )]
    Version {
        /// What the component says.
        found: String,
        /// What we speak.
        supported: String,
    },
    /// It wants what is not the host's to give.
    #[error("it imports {}, which Hearth does not offer; {remedy}", .found.join(", "))]
    Foreign {
        /// The interfaces.
        found: Vec<String>,
        /// How it is built without them.
        remedy: &'static str,
    },
    /// The code itself is refused.
    #[error("it does not compile: {0}")]
    Compile(String),
    /// An interface has the right name, and a function in it another shape or none.
    #[error("it does not fit the interface: {0}; rebuild it with this Hearth's `hearth build`")]
    Link(String),
    /// Its first call failed.
    #[error("`describe` failed: {0}")]
    Describe(String),
    /// What it says about itself makes no sense.
    #[error("it describes itself wrongly: {0}")]
    Description(String),
    /// It could not say which tools it has.
    #[error("`list-tools` failed: {0}")]
    ListTools(#[source] CallError),
    /// One of its tools can't be offered to a model.
    #[error("its tool {tool:?} can't be offered: {problem}")]
    Tool {
        /// As it is called; shortened if that is what is wrong.
        tool: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The bot's settings do not fit what the plugin takes.
    #[error("[bots.{bot}.settings] does not fit the plugin: {}", .problems.join("; "))]
    Settings {
        /// Whose settings.
        bot: String,
        /// Each with its place.
        problems: Vec<String>,
    },
    /// The operator set times for a plugin that does not take them.
    #[error(
        "[bots.{bot}.cron.{timer}] sets a time, and the plugin does not export `hearth:bot/timer-handler`; remove the table, or build the plugin with a timer handler"
    )]
    NoTimers {
        /// Whose cron.
        bot: String,
        /// The first of its timers.
        timer: String,
    },
    /// It can't do without something that the bot does not grant.
    #[error("[bots.{bot}] does not grant what the plugin needs: {}; {}", .wants.join(", "), .remedies.join(", and "))]
    NotGranted {
        /// Whose grants.
        bot: String,
        /// Each with its purpose.
        wants: Vec<String>,
        /// What to add to bots.toml: "write `grants = ["kv"]` there".
        remedies: Vec<String>,
    },
}
