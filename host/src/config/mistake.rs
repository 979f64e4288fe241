//! Everything that can be wrong with a `bots.toml`, in words: what happened. What to do about it says `remedy`.
//!
//! No variant holds a secret. Where a value can be one, or can contain one (keys, webhook secrets, URLs), the words name
//! the key, the variable or the file instead.

use std::{io, path::PathBuf};

/// One kind of mistake, with what is needed to explain it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// The configuration itself could not be read.
    #[error("the configuration can't be read")]
    Unreadable {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Bytes that are no UTF-8.
    #[error("line {line} is not UTF-8 text")]
    NotUtf8 {
        /// The first such line, from 1.
        line: usize,
    },
    /// Not TOML.
    #[error("this is not TOML: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// A key that nothing reads.
    #[error("unknown key `{key}` {place}{}", nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    UnknownKey {
        /// As it is written.
        key: String,
        /// "in `[host]`", "at the top level".
        place: String,
        /// A key of the same table that looks like it.
        nearest: Option<String>,
        /// What can be done when nothing looks like it.
        remedy: String,
    },
    /// A value of another type than the key takes.
    #[error("`{key}` must be {expected}, not {found}")]
    WrongType {
        /// The key with its tables.
        key: String,
        /// What it takes.
        expected: String,
        /// What is there.
        found: &'static str,
        /// How it would be written.
        example: Option<String>,
    },
    /// So many values of wrong types that the search for more was ended.
    #[error("more values are of a wrong type than are listed here")]
    MoreWrongTypes,
    /// A deployment without a bot.
    #[error("there is no bot")]
    NoBots,
    /// A bot's table lacks a key that it can't do without.
    #[error("`{bot}` has no `{key}`")]
    Missing {
        /// Whose table.
        bot: String,
        /// What it lacks.
        key: &'static str,
    },
    /// A name that can't stand in a URL and in file names.
    #[error("`{name}` can't be a bot's name")]
    BotName {
        /// As it is written.
        name: String,
    },
    /// A number, size or duration outside its bounds.
    #[error("`{key}` is {given}; it can be {bounds}")]
    OutOfRange {
        /// Which.
        key: &'static str,
        /// As it is written.
        given: String,
        /// "1 to 1024"
        bounds: String,
    },
    /// Not a duration.
    #[error("`{key}` is no duration: `{given}`")]
    Duration {
        /// Which.
        key: &'static str,
        /// As it is written.
        given: String,
    },
    /// Not a size.
    #[error("`{key}` is no size: `{given}`")]
    Size {
        /// Which.
        key: &'static str,
        /// As it is written.
        given: String,
    },
    /// Not a sum of money.
    #[error("`{key}` must be more than 0 dollars")]
    Budget {
        /// Which.
        key: &'static str,
    },
    /// Not an address to listen on.
    #[error("`{key}` is no address: `{given}`")]
    Address {
        /// Which.
        key: &'static str,
        /// As it is written.
        given: String,
    },
    /// Not a URL at all.
    #[error("`{key}` is no URL")]
    Url {
        /// Which.
        key: &'static str,
        /// Why.
        #[source]
        source: url::ParseError,
    },
    /// A URL that can't be a base URL over HTTP.
    #[error("`{key}` {fault}")]
    BaseUrl {
        /// Which.
        key: &'static str,
        /// "must not have a query".
        fault: &'static str,
    },
    /// A store that this Hearth does not know.
    #[error("`url` names a store that Hearth does not have")]
    Store,
    /// A store that can't be had in this way.
    #[error("`url` {fault}")]
    StoreUrl {
        /// "names no host".
        fault: &'static str,
    },
    /// Nothing where something must be.
    #[error("`{key}` is empty")]
    Empty {
        /// Which.
        key: &'static str,
    },
    /// Text of more than the limit.
    #[error("`{key}` is longer than {limit}")]
    Long {
        /// Which.
        key: &'static str,
        /// The limit, as a size.
        limit: String,
    },
    /// Not a name of an environment variable.
    #[error("`{given}` can't be the name of an environment variable")]
    VariableName {
        /// As it is written.
        given: String,
    },
    /// A shell's way to write a command.
    #[error("`command` has arguments in one string")]
    CommandWithArguments,
    /// The running program, which the stand-in is a part of, has no path.
    #[error("the path of this program, which contains the demo agent, can't be found")]
    OwnPath {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Two sources of one prompt.
    #[error("`{bot}` has both `system-prompt` and `system-prompt-file`")]
    BothPrompts {
        /// Whose table.
        bot: String,
    },
    /// `spares` beside `builtin-tools`.
    #[error(
        "`{bot}` has both `spares` and `builtin-tools`: with tools each room has a folder, and its processes start there"
    )]
    SparesWithTools {
        /// Whose table.
        bot: String,
    },
    /// Paths for a sandbox that is off.
    #[error("there is no sandbox that this path could be added to")]
    NoSandbox,
    /// `${` without its `}`, or around something else than a variable's name.
    #[error("`{key}` has a `${{` that begins no `${{NAME}}`")]
    Placeholder {
        /// Which.
        key: &'static str,
    },
    /// A variable that the environment lacks.
    #[error("`{key}` needs the environment variable `{variable}`, which is not set or empty")]
    Variable {
        /// Which.
        key: &'static str,
        /// The variable.
        variable: String,
    },
    /// A file that a value is taken from.
    #[error("`{key}` can't be read from `{}`", path.display())]
    File {
        /// Which.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not what Campfire gives a bot.
    #[error("`bot-key` is not of the form that Campfire gives a bot")]
    BotKey,
    /// Easily guessed, or not fit for a URL.
    #[error("`{key}` is too short or has other characters than letters, digits, `-` and `_`")]
    Guessable {
        /// Which.
        key: &'static str,
    },
    /// Anybody could pause bots.
    #[error("other machines can reach `admin`, and there is no `admin-token`")]
    AdminWithoutToken,
    /// Two bots that can't be told apart.
    #[error("`{bot}` has the same `{key}` as `{other}`")]
    Shared {
        /// Which.
        key: &'static str,
        /// The later one.
        bot: String,
        /// The earlier one.
        other: String,
    },
    /// Not a cron expression.
    #[error("`at` is no cron expression: `{given}`: {cause}")]
    CronExpression {
        /// As it is written.
        given: String,
        /// What does not fit.
        cause: String,
    },
    /// A cron expression for a day that no calendar has.
    #[error("`at` never comes: `{given}`")]
    CronNever {
        /// As it is written.
        given: String,
    },
    /// Not a time zone.
    #[error("`zone` is no time zone: `{given}`")]
    Zone {
        /// As it is written.
        given: String,
    },
    /// A name that a timer can't have.
    #[error("a timer's name has 1 to {limit} bytes")]
    CronName {
        /// In bytes.
        limit: usize,
    },
    /// More of the operator's timers than a bot may have.
    #[error("a bot can have {limit} timers in `cron`")]
    ManyCrons {
        /// How many it can have.
        limit: usize,
    },
    /// A timer in a room where the bot does not answer.
    #[error("`room` is {room}, which is not in the bot's `rooms`")]
    CronRoom {
        /// As it is written.
        room: i64,
    },
    /// Not the name of a server.
    #[error("this can't be the name of a server: it {fault}")]
    HttpHost {
        /// "has a path"
        fault: &'static str,
    },
    /// Two tables for one server.
    #[error("`{bot}` has two tables for {host}")]
    SameHttpHost {
        /// Whose tables.
        bot: String,
        /// The server, with its port if both have it.
        host: String,
    },
    /// A server that could never be reached.
    #[error("`{host}` is not a public address, and `private` is not set")]
    HttpHostPrivate {
        /// As it is written.
        host: String,
    },
    /// Not a header's name. It is not shown: a secret may stand in its place.
    #[error("this can't be the name of a header")]
    HeaderName,
    /// A header that only the host may set.
    #[error("the header `{name}` can't be set: it is part of how the request is sent")]
    HeaderReserved {
        /// Its name.
        name: String,
    },
    /// The same header twice.
    #[error("the header `{name}` is set twice")]
    HeaderTwice {
        /// Its name.
        name: String,
    },
    /// A value that no header can have.
    #[error(
        "the header `{name}` can't have this value: it is empty, or has a line break or another control character in it"
    )]
    HeaderValue {
        /// The header's name.
        name: String,
    },
    /// A setting that no JSON can express.
    #[error("`{key}` is not a finite number, and plugins get their settings as JSON")]
    NotFinite {
        /// The key with its tables, from `settings` on.
        key: String,
    },
    /// A case that begins in several ways.
    #[error("`{case}` has several of `message`, `timer` and `occurrence`")]
    SeveralCauses {
        /// Its name.
        case: String,
    },
    /// A case that can't fail.
    #[error("`{case}` expects nothing")]
    NoExpectation {
        /// Its name.
        case: String,
    },
    /// A bot that runs in the playground only.
    #[error("`{bot}` can't serve a Campfire yet: it has no {}", lacks.join(", no "))]
    PlaygroundOnly {
        /// Whose table.
        bot: String,
        /// What is missing, as keys in backticks.
        lacks: Vec<&'static str>,
    },
}
