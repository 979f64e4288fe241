//! `cases.toml`: what a plugin is to say, as its author writes it down.
//!
//! A case is one turn: something happens, the plugin decides, the agent calls tools, answers, and the plugin formats that.
//! What happens is here; what is to come of it is in `expected`.
//!
//! Whatever a case does not say is as in `[defaults]` of its file, and else as in an ordinary message of Ann's. Unknown keys
//! and wrong types are mistakes with their places, as in bots.toml.

mod expected;

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::expected::{Expected, File, Fits, Part, PartOf, Parts, SetTimer, Text, Words};
use super::{Mistake, Problems, located::Located, read, shape, text};

static SCHEMA: LazyLock<Value> = LazyLock::new(shape::schema_of::<RawCases>);

/// The cases of a plugin: what it is told, and what it is to say.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
struct RawCases {
    /// What every case of this file begins with.
    defaults: Case,
    /// The cases, each called by what it shows: `[case."a ping is answered"]`.
    case: BTreeMap<Located<String>, Case>,
}

/// A case, with its name and place.
#[derive(Debug, Clone)]
pub struct NamedCase {
    /// What it shows.
    pub name: String,
    /// The line of its name, from 1.
    pub line: usize,
    /// What it says, and what the file says for all of them.
    pub case: Case,
}

/// One turn.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct Case {
    /// What is said to the bot.
    pub message: Option<Said>,
    /// A time that has come, instead of a message.
    pub timer: Option<Timer>,
    /// Something else that has happened, instead of a message.
    pub occurrence: Option<Occurrence>,
    /// Who says it. "Ann" by default.
    pub user: Option<Named>,
    /// Where. "All Talk" by default.
    pub room: Option<Named>,
    /// What the operator has set. Nothing by default.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub settings: Option<toml::Table>,
    /// What the bot grants. What the plugin asks for by default.
    pub grants: Option<Vec<Granted>>,
    /// What the plugin keeps. Nothing by default.
    pub kv: Option<Keys>,
    /// What servers answer. None answers by default.
    pub http: Option<Vec<Exchange>>,
    /// What was said in the room before, oldest first: "Ann: hello".
    pub history: Option<Vec<Past>>,
    /// What time it is, like "2026-01-05T09:00:00Z".
    pub clock: Option<String>,
    /// The tools that the agent calls, in order.
    pub tools: Option<Vec<ToolCall>>,
    /// What the agent answers.
    pub agent: Option<AgentSays>,
    /// What the plugin is to say and do.
    pub expect: Expected,
}

/// What a bot can grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Granted {
    /// Keys and values that last.
    Kv,
    /// Requests, to the servers that the case tells of.
    Http,
    /// The room beyond the answer.
    Campfire,
    /// Timers.
    Schedule,
    /// The time.
    Clock,
}

/// A message.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, rename_all = "kebab-case", expecting = "a text, or a table with `text`, `html` or `id`")]
pub enum Said {
    /// Its text.
    Text(String),
    /// More of it.
    Whole {
        /// Its text.
        #[serde(default)]
        text: String,
        /// Its HTML.
        #[serde(default)]
        html: Option<String>,
        /// Its number.
        #[serde(default)]
        id: Option<u64>,
    },
}

/// Somebody, or a room.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, rename_all = "kebab-case", expecting = "a name, or a table with `name` or `id`")]
pub enum Named {
    /// A name.
    Name(String),
    /// More of it.
    Whole {
        /// The name; a direct room has none.
        #[serde(default)]
        name: Option<String>,
        /// The number.
        #[serde(default)]
        id: Option<u64>,
    },
}

/// A time that has come.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct Timer {
    /// What it was set under.
    pub name: String,
    /// What was kept with it.
    pub payload: String,
    /// Whether the operator set it, in bots.toml.
    pub operator: bool,
}

/// Something that has happened.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct Occurrence {
    /// What.
    pub kind: String,
    /// As it came, JSON.
    pub payload: String,
}

/// Keys with their values. What is no text is kept as JSON.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct Keys {
    /// Those of the room.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub room: Option<toml::Table>,
    /// Those that all rooms share.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub bot: Option<toml::Table>,
}

/// What a server answers to a request.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct Exchange {
    /// Only this method.
    pub method: Option<String>,
    /// Only this URL; one that ends in `*` is the beginning of some.
    pub url: Option<String>,
    /// The status. 200 by default.
    pub status: Option<u16>,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<String>,
    /// The body, as JSON.
    #[schemars(with = "Option<Value>")]
    pub json: Option<toml::Value>,
    /// No answer, for this reason: `unreachable`, `timed-out`, …
    pub fail: Option<String>,
}

/// A message of before.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    untagged,
    rename_all = "kebab-case",
    expecting = "\"Ann: hello\", or a table with `user`, `text`, `html`, `at` or `mine`"
)]
pub enum Past {
    /// "Ann: hello"
    Line(String),
    /// More of it.
    Whole {
        /// Who said it.
        #[serde(default)]
        user: Option<Named>,
        /// What.
        #[serde(default)]
        text: String,
        /// As HTML.
        #[serde(default)]
        html: Option<String>,
        /// When, like "2026-01-05T08:00:00Z".
        #[serde(default)]
        at: Option<String>,
        /// Whether the bot said it itself.
        #[serde(default)]
        mine: bool,
    },
}

/// A tool that the agent calls.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct ToolCall {
    /// The tool's name.
    pub call: String,
    /// Its input.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub input: toml::Table,
    /// What it is to answer.
    pub output: Option<Text>,
    /// How it is to fail: its kind and its words.
    pub error: Option<Text>,
}

/// What the agent comes to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    untagged,
    rename_all = "kebab-case",
    expecting = "a text, or a table with `text`, `memory-lost`, or `failed` and `sentence`"
)]
pub enum AgentSays {
    /// It answers this.
    Text(String),
    /// More of it.
    Whole {
        /// Its answer.
        #[serde(default)]
        text: String,
        /// It has forgotten what was before.
        #[serde(default, rename = "memory-lost")]
        memory_lost: bool,
        /// It does not answer, for this reason: `turn-limit`, `timed-out`, …
        #[serde(default)]
        failed: Option<String>,
        /// What the host says about that.
        #[serde(default)]
        sentence: Option<String>,
    },
}

/// Reads the cases of a file, in its order.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Vec<NamedCase>, Problems> {
    parse(path, &text(path)?)
}

/// The same for the text of the file.
///
/// # Errors
/// As above.
pub fn parse(path: &Path, source: &str) -> Result<Vec<NamedCase>, Problems> {
    let (raw, mut findings, shown) = read::read::<RawCases>(path, source, &SCHEMA);
    let RawCases { defaults, case } = raw;
    let mut cases: Vec<_> = case.into_iter().collect();
    cases.sort_by_key(|(name, _)| name.span().start);
    let mut named = Vec::with_capacity(cases.len());
    for (name, case) in cases {
        let begins = [case.message.is_some(), case.timer.is_some(), case.occurrence.is_some()];
        if begins.iter().filter(|is_there| **is_there).count() > 1 {
            findings.add(name.span(), Mistake::SeveralCauses { case: name.get().clone() });
        }
        if case.expect.is_empty() && case.tools.iter().flatten().all(ToolCall::expects_nothing) {
            let mistake = Mistake::NoExpectation { case: name.get().clone() };
            findings.lacks(name.span(), &["case", name.get(), "expect"], mistake);
        }
        let (line, _) = shown.line_and_column(name.span().start);
        named.push(NamedCase { name: name.get().clone(), line, case: case.or(&defaults) });
    }
    findings.conclude(Ok(named))
}

// === impl Case ===

impl Case {
    /// The same with what these say of what it does not.
    fn or(self, defaults: &Self) -> Self {
        let has_cause = self.message.is_some() || self.timer.is_some() || self.occurrence.is_some();
        let cause = if has_cause { Self::default() } else { defaults.clone() };
        Self {
            message: self.message.or(cause.message),
            timer: self.timer.or(cause.timer),
            occurrence: self.occurrence.or(cause.occurrence),
            user: self.user.or_else(|| defaults.user.clone()),
            room: self.room.or_else(|| defaults.room.clone()),
            settings: self.settings.or_else(|| defaults.settings.clone()),
            grants: self.grants.or_else(|| defaults.grants.clone()),
            kv: self.kv.or_else(|| defaults.kv.clone()),
            http: self.http.or_else(|| defaults.http.clone()),
            history: self.history.or_else(|| defaults.history.clone()),
            clock: self.clock.or_else(|| defaults.clock.clone()),
            tools: self.tools.or_else(|| defaults.tools.clone()),
            agent: self.agent.or_else(|| defaults.agent.clone()),
            expect: self.expect,
        }
    }
}

impl ToolCall {
    fn expects_nothing(&self) -> bool {
        self.output.is_none() && self.error.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(source: &str) -> String {
        format!("{:#}", parse(Path::new("cases.toml"), source).unwrap_err())
    }

    #[test]
    fn a_case_is_short_and_says_what_it_means() {
        let source = "[defaults]\nuser = 'Bea'\nclock = '2026-01-05T09:00:00Z'\n\n[case.'second']\nmessage = 'x'\nuser = { id = 7 }\n\
                      expect.prompt = { contains = ['a', 'b'] }\n[case.'a first']\nexpect = { reply = ['pong', { boost = '!' }] }\n";
        let cases = parse(Path::new("cases.toml"), source).unwrap();
        let names: Vec<_> = cases.iter().map(|case| (case.name.as_str(), case.line)).collect();
        assert_eq!(names, [("second", 5), ("a first", 9)], "in the file's order");
        assert!(matches!(&cases[0].case.user, Some(Named::Whole { id: Some(7), .. })));
        assert!(matches!(&cases[1].case.user, Some(Named::Name(name)) if name == "Bea"));
        assert!(matches!(&cases[1].case.expect.reply, Some(Parts::Several(parts)) if parts.len() == 2));
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_wherever_it_is() {
        for (source, place, nearest) in [
            ("[case.a]\nmesage = 'x'\nexpect.reply = 'y'", "cases.toml:2:1", "`message`"),
            ("[case.a]\nexpect.repli = 'y'", "cases.toml:2:8", "`reply`"),
            ("[case.a]\nexpect.prompt = { contain = 'y' }", "cases.toml:2:19", "`contains`"),
            (
                "[case.a]\nexpect.decision = 'ask'\n[[case.a.http]]\nurl = 'x'\nstatsu = 3",
                "cases.toml:5:1",
                "`status`",
            ),
            ("[case.a]\nexpect.decision = 'ask'\n[[case.a.tools]]\nimput = {}", "cases.toml:4:1", "`input`"),
        ] {
            let told = problems(source);
            assert!(told.contains(place) && told.contains(nearest), "{told}");
        }
    }

    #[test]
    fn what_can_t_be_meant_is_said_at_once() {
        let told = problems("[case.a]\nmessage = 7\nexpect.reply = 'x'\n[case.b]\nmessage = 'x'\n");
        assert!(told.contains("cases.toml:2:11") && told.contains("must be a text, or a table"), "{told}");
        assert!(told.contains("cases.toml:4:7") && told.contains("expects nothing"), "{told}");
        let told = problems("[case.a]\nmessage = 'x'\ntimer = { name = 'y' }\nexpect.decision = 'ask'\n");
        assert!(
            told.contains("cases.toml:1:7") && told.contains("`message`, `timer` and `occurrence`"),
            "{told}"
        );
    }
}
