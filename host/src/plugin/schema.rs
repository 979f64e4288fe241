//! JSON Schemas that plugins bring, compiled and applied where neither can harm the host.
//!
//! Both the schema and what is held against it come from strangers. A few kilobytes of references can make a check
//! recurse deep enough to overflow a stack, which would end the host, or run for years. So each runs on a thread of its
//! own with a large stack ([`STACK`], address space until it is touched) and with a deadline. Only a check that can do
//! neither, which is most of them, runs where it is asked for ([`Schema::is_small`]).
//!
//! A thread that passes its deadline can't be ended; it is left to itself. The host has [`THREADS`] at most and a bot
//! [`SHARE`] of them, whatever it loads and however often: a bot whose schemas never end keeps its own threads from
//! itself, and not the others from theirs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use jsonschema::{Validator, error::ValidationErrorKind};
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use super::bounded;

/// Enough for 64 KiB of references that lead through each other at each of [`DEPTH`] levels.
const STACK: usize = 256 << 20;
/// How deep lists and objects may lie in each other in what is checked.
const DEPTH: usize = 64;
/// How many checks run at once on threads of their own.
const THREADS: usize = 16;
/// How many of them one bot may have.
const SHARE: usize = 2;
/// Values of a schema times values and bytes of what is held against it that are checked in a few milliseconds at most.
const SMALL: usize = 100_000;
/// What makes a check more than one visit of each piece of the value by each piece of the schema.
const WORDS_OF_WORK: [&str; 8] = [
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "pattern",
    "patternProperties",
    "uniqueItems",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// How many problems are named, and how long each may be, in bytes.
const PROBLEMS: usize = 8;
const PROBLEM_LIMIT: usize = 300;

/// A schema that is one.
pub(super) struct Schema {
    validator: Arc<Validator>,
    /// Of how many values it is made; none if that does not tell how much work a check is.
    pieces: Option<usize>,
}

/// The threads that checks for one bot may have: some of the host's.
#[derive(Clone)]
pub(super) struct Threads {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// Until when it must be done, and how long that was from the beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    until: Instant,
    within: Duration,
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is none.
    #[error("it is no JSON Schema (2020-12) that stands alone: {0}")]
    Invalid(String),
    /// Compiling it, or holding something against it, took too long.
    #[error("the work with its JSON Schema did not end within {0:?}; a schema with fewer references would")]
    TooSlow(Duration),
    /// Earlier checks have all the threads.
    #[error(
        "no thread was free for its JSON Schema within {0:?}; checks that do not end have them, and a restart of Hearth ends those"
    )]
    Busy(Duration),
    /// The system gave no thread.
    #[error("the system has no thread for its JSON Schema: {0}")]
    NoThread(String),
}

// === impl Deadline ===

impl Deadline {
    /// So long from now.
    pub(super) fn after(within: Duration) -> Self {
        Self { until: Instant::now() + within, within }
    }

    /// How much of it is left.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

// === impl Threads ===

impl Threads {
    /// As many as the host has.
    pub(super) fn of_the_host() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(THREADS))
    }

    /// One bot's part of these.
    pub(super) fn part_of(all: &Arc<Semaphore>) -> Self {
        Self { own: Arc::new(Semaphore::new(SHARE)), all: Arc::clone(all) }
    }

    /// Whether any of them is in use.
    pub(super) fn are_busy(&self) -> bool {
        self.own.available_permits() < SHARE
    }

    async fn one(&self, deadline: Deadline) -> Result<[OwnedSemaphorePermit; 2], SchemaError> {
        let permits = async {
            let own = Arc::clone(&self.own).acquire_owned().await;
            Ok([own?, Arc::clone(&self.all).acquire_owned().await?])
        };
        match timeout_at(deadline.until, permits).await {
            Ok(Ok(permits)) => Ok(permits),
            // Neither semaphore is ever closed.
            Ok(Err::<_, tokio::sync::AcquireError>(_)) | Err(_) => Err(SchemaError::Busy(deadline.within)),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SchemaError> {
        let permits = self.one(deadline).await?;
        let (done, result) = oneshot::channel();
        thread::Builder::new()
            .name("hearth-schema".into())
            .stack_size(STACK)
            .spawn(move || {
                // Nobody waits any more if it came too late.
                let _ = done.send(work());
                drop(permits);
            })
            .map_err(|error| SchemaError::NoThread(error.to_string()))?;
        match timeout_at(deadline.until, result).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(broke()),
            Err(_) => Err(SchemaError::TooSlow(deadline.within)),
        }
    }
}

fn broke() -> SchemaError {
    SchemaError::Invalid("the check of it broke".to_owned())
}

// === impl Schema ===

impl Schema {
    /// Compiles a schema. References lead nowhere outside it.
    ///
    /// # Errors
    /// It is no schema, refers to another one, or takes too long.
    pub(super) async fn compile(
        schema: Value,
        threads: &Threads,
        deadline: Deadline,
    ) -> Result<Self, SchemaError> {
        let pieces = (!has_words_of_work(&schema)).then(|| pieces(&schema, 0));
        let compile = move || jsonschema::draft202012::new(&schema).map_err(|error| shortly(&error));
        let validator = threads.run(deadline, compile).await?.map_err(SchemaError::Invalid)?;
        Ok(Self { validator: Arc::new(validator), pieces })
    }

    /// What is wrong with it, each with its place; nothing if it fits. At most a few problems, shortened.
    ///
    /// # Errors
    /// It takes too long.
    pub(super) async fn problems(
        &self,
        value: Arc<Value>,
        threads: &Threads,
        deadline: Deadline,
    ) -> Result<Vec<String>, SchemaError> {
        if !is_shallow(&value, DEPTH) {
            return Ok(vec![format!("its lists and objects lie in each other deeper than {DEPTH} levels")]);
        }
        let is_small = self.is_small(&value);
        let validator = Arc::clone(&self.validator);
        let check =
            move || validator.iter_errors(&value).take(PROBLEMS).map(|error| shortly(&error)).collect();
        if is_small {
            return catch_unwind(AssertUnwindSafe(check)).map_err(|_| broke());
        }
        threads.run(deadline, check).await
    }

    /// Whether holding this against the schema is sure to be little work, on any stack.
    fn is_small(&self, value: &Value) -> bool {
        self.pieces.is_some_and(|schema| schema.saturating_mul(pieces(value, 1)) <= SMALL)
    }
}

/// Whether any object in it has such a key. A property may be named so; that costs a thread and nothing else.
fn has_words_of_work(schema: &Value) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(has_words_of_work),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, field)| WORDS_OF_WORK.contains(&name.as_str()) || has_words_of_work(field)),
        _ => false,
    }
}

/// Of how many values it is made, a byte of text counting for so many.
fn pieces(value: &Value, byte: usize) -> usize {
    1 + match value {
        Value::String(text) => byte * text.len(),
        Value::Array(items) => items.iter().map(|item| pieces(item, byte)).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| byte * name.len() + pieces(field, byte)).sum()
        }
        _ => 0,
    }
}

/// The problem and its place. The problem may quote what was checked.
fn shortly(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let problem = match error.kind() {
        // Of an object that has no properties. It is not told which key that is.
        ValidationErrorKind::FalseSchema => {
            format!("a key with the value {} is not known", error.instance())
        }
        _ => error.to_string(),
    };
    let problem = bounded(&problem, PROBLEM_LIMIT);
    if place.is_empty() { problem.into_owned() } else { format!("{problem} at {}", bounded(&place, 100)) }
}

fn is_shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_shallow(item, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|field| is_shallow(field, levels - 1)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    fn threads() -> Threads {
        Threads::part_of(&Threads::of_the_host())
    }

    async fn compiled(schema: Value) -> Result<Schema, SchemaError> {
        Schema::compile(schema, &threads(), Deadline::after(PATIENCE)).await
    }

    async fn held(schema: &Schema, value: Value) -> Result<Vec<String>, SchemaError> {
        schema.problems(value.into(), &threads(), Deadline::after(PATIENCE)).await
    }

    #[tokio::test]
    async fn what_does_not_fit_is_named_with_its_place() {
        let schema =
            json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["b"] });
        let schema = compiled(schema).await.unwrap();
        let problems = held(&schema, json!({ "a": "x" })).await.unwrap();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().any(|problem| problem.ends_with("at /a")), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.contains("\"b\"")), "{problems:?}");
        let fits = held(&schema, json!({ "a": 1, "b": null })).await;
        assert_eq!(fits, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn problems_are_few_and_short() {
        let schema = compiled(json!({ "items": { "type": "integer" } })).await.unwrap();
        let value = json!(vec!["x".repeat(10_000); 100]);
        let problems = held(&schema, value).await.unwrap();
        assert_eq!(problems.len(), PROBLEMS);
        assert!(problems.iter().all(|problem| problem.len() < 500));
    }

    #[tokio::test]
    async fn what_is_no_schema_or_refers_to_another_place_is_refused() {
        for schema in [
            json!({ "type": 7 }),
            json!({ "$ref": "https://example.com/schema.json" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "$ref": "other.json" }),
            json!({ "$ref": "#/nowhere" }),
        ] {
            let refused = compiled(schema.clone()).await.err();
            assert!(matches!(refused, Some(SchemaError::Invalid(_))), "{schema}: {refused:?}");
        }
    }

    /// References that lead from each of `length` definitions to the next, and from the last one level down to the first.
    fn chain(length: usize, link: impl Fn(Value) -> Value) -> Value {
        let mut definitions = serde_json::Map::new();
        for index in 0..length {
            definitions.insert(index.to_string(), link(json!({ "$ref": format!("#/$defs/{}", index + 1) })));
        }
        definitions
            .insert(length.to_string(), json!({ "properties": { "deeper": { "$ref": "#/$defs/0" } } }));
        json!({ "type": "object", "$ref": "#/$defs/0", "$defs": definitions })
    }

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!({}), |inner, _| json!({ "deeper": inner }))
    }

    #[tokio::test]
    async fn references_through_references_do_not_overflow_a_stack() {
        let schema = compiled(chain(2_000, |link| link)).await.unwrap();
        let problems = held(&schema, nested(DEPTH - 1)).await.unwrap();
        assert_eq!(problems, Vec::<String>::new());
        let too_deep = held(&schema, nested(DEPTH + 1)).await.unwrap();
        assert!(too_deep[0].contains("64 levels"), "{too_deep:?}");
    }

    /// Each level doubles the work; 24 of them keep the threads of a test busy for a moment, not for years.
    async fn slow() -> Schema {
        compiled(chain(24, |link| json!({ "allOf": [link, link] }))).await.unwrap()
    }

    #[tokio::test]
    async fn checks_that_would_take_years_have_a_bots_threads_and_no_more() {
        let schemas = [slow().await, slow().await, slow().await];
        let (soon, all) = (Duration::from_millis(1), Threads::of_the_host());
        let bot = Threads::part_of(&all);
        for schema in &schemas[..SHARE] {
            let late = schema.problems(json!({}).into(), &bot, Deadline::after(soon)).await;
            assert_eq!(late, Err(SchemaError::TooSlow(soon)));
        }
        // Another schema of the same bot, as after a reload.
        let busy = schemas[SHARE].problems(json!({}).into(), &bot, Deadline::after(soon)).await;
        assert_eq!(busy, Err(SchemaError::Busy(soon)));
        assert!(bot.are_busy() && all.available_permits() == THREADS - SHARE);

        let other = Threads::part_of(&all);
        let schema = Schema::compile(json!({}), &other, Deadline::after(PATIENCE)).await.unwrap();
        let fits = schema.problems(json!({}).into(), &other, Deadline::after(PATIENCE)).await;
        assert_eq!(fits, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_small_check_needs_no_thread() {
        let small = json!({ "properties": { "a": { "type": "integer" } }, "required": ["a"] });
        let none = Threads { own: Arc::new(Semaphore::new(0)), all: Threads::of_the_host() };
        let schema = compiled(small).await.unwrap();
        let check = |value: Value| schema.problems(value.into(), &none, Deadline::after(Duration::ZERO));
        assert_eq!(check(json!({ "a": 1 })).await, Ok(Vec::new()));
        assert_eq!(check(json!({})).await.unwrap().len(), 1);
        let large = check(json!({ "a": "x".repeat(SMALL) })).await;
        assert_eq!(large, Err(SchemaError::Busy(Duration::ZERO)));
        for word in WORDS_OF_WORK {
            assert!(has_words_of_work(&json!({ "allOf": [{ word: true }] })), "{word}");
        }
    }
}
