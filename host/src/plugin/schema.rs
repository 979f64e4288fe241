//! JSON Schemas that plugins bring, compiled and applied where neither can harm the host.
//!
//! Both the schema and what is held against it come from strangers. A few kilobytes of references can make a check
//! recurse deep enough to overflow a stack, which would end the host, or run for years. So each runs on a thread of its
//! own with a large stack ([`STACK`], address space until it is touched) and with a deadline. A thread that passes it
//! can't be ended; it is left to itself, and a schema has [`THREADS`] at most.

use std::{sync::Arc, thread, time::Duration};

use jsonschema::Validator;
use serde_json::Value;
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use super::bounded;

/// Enough for 64 KiB of references that lead through each other at each of [`DEPTH`] levels.
const STACK: usize = 256 << 20;
/// How deep lists and objects may lie in each other in what is checked.
const DEPTH: usize = 64;
/// How many checks of one schema run at once.
const THREADS: usize = 2;
/// How many problems are named, and how long each may be, in bytes.
const PROBLEMS: usize = 8;
const PROBLEM_LIMIT: usize = 300;

/// A schema that is one.
pub(super) struct Schema {
    validator: Arc<Validator>,
    threads: Arc<Semaphore>,
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
    /// The system gave no thread.
    #[error("the system has no thread for its JSON Schema: {0}")]
    NoThread(String),
}

impl Schema {
    /// Compiles a schema. References lead nowhere outside it.
    ///
    /// # Errors
    /// It is no schema, refers to another one, or takes too long.
    pub(super) async fn compile(schema: Value, deadline: Duration) -> Result<Self, SchemaError> {
        let threads = Arc::new(Semaphore::new(THREADS));
        let compile = move || jsonschema::draft202012::new(&schema).map_err(|error| shortly(&error));
        let validator = on_a_thread(&threads, deadline, compile).await?.map_err(SchemaError::Invalid)?;
        Ok(Self { validator: Arc::new(validator), threads })
    }

    /// What is wrong with it, each with its place; nothing if it fits. At most a few problems, shortened.
    ///
    /// # Errors
    /// It takes too long.
    pub(super) async fn problems(
        &self,
        value: Arc<Value>,
        deadline: Duration,
    ) -> Result<Vec<String>, SchemaError> {
        if !is_shallow(&value, DEPTH) {
            return Ok(vec![format!("its lists and objects lie in each other deeper than {DEPTH} levels")]);
        }
        let validator = Arc::clone(&self.validator);
        on_a_thread(&self.threads, deadline, move || {
            validator.iter_errors(&value).take(PROBLEMS).map(|error| shortly(&error)).collect()
        })
        .await
    }
}

/// The problem and its place. The problem may quote what was checked.
fn shortly(error: &jsonschema::ValidationError<'_>) -> String {
    let (problem, place) = (error.to_string(), error.instance_path().to_string());
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

async fn on_a_thread<T: Send + 'static>(
    threads: &Arc<Semaphore>,
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SchemaError> {
    let until = Instant::now() + deadline;
    let too_slow = |_| SchemaError::TooSlow(deadline);
    let permit = timeout_at(until, Arc::clone(threads).acquire_owned()).await.map_err(too_slow)?;
    let (done, result) = oneshot::channel();
    thread::Builder::new()
        .name("hearth-schema".into())
        .stack_size(STACK)
        .spawn(move || {
            // Nobody waits any more if it came too late.
            let _ = done.send(work());
            drop(permit);
        })
        .map_err(|error| SchemaError::NoThread(error.to_string()))?;
    match timeout_at(until, result).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(SchemaError::Invalid("the check of it broke".to_owned())),
        Err(late) => Err(too_slow(late)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    async fn compiled(schema: Value) -> Result<Schema, SchemaError> {
        Schema::compile(schema, PATIENCE).await
    }

    #[tokio::test]
    async fn what_does_not_fit_is_named_with_its_place() {
        let schema =
            json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["b"] });
        let schema = compiled(schema).await.unwrap();
        let problems = schema.problems(json!({ "a": "x" }).into(), PATIENCE).await.unwrap();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().any(|problem| problem.ends_with("at /a")), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.contains("\"b\"")), "{problems:?}");
        let fits = schema.problems(json!({ "a": 1, "b": null }).into(), PATIENCE).await;
        assert_eq!(fits, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn problems_are_few_and_short() {
        let schema = compiled(json!({ "items": { "type": "integer" } })).await.unwrap();
        let value = json!(vec!["x".repeat(10_000); 100]);
        let problems = schema.problems(value.into(), PATIENCE).await.unwrap();
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
        let problems = schema.problems(nested(DEPTH - 1).into(), PATIENCE).await.unwrap();
        assert_eq!(problems, Vec::<String>::new());
        let too_deep = schema.problems(nested(DEPTH + 1).into(), PATIENCE).await.unwrap();
        assert!(too_deep[0].contains("64 levels"), "{too_deep:?}");
    }

    #[tokio::test]
    async fn a_check_that_would_take_years_ends_with_its_deadline_and_holds_up_no_other_schema() {
        // Each level doubles the work; 24 of them keep the threads of this test busy for a moment, not for years.
        let doubling = chain(24, |link| json!({ "allOf": [link, link] }));
        let schema = compiled(doubling).await.unwrap();
        let soon = Duration::from_millis(1);
        for _ in 0..=THREADS {
            let late = schema.problems(json!({}).into(), soon).await;
            assert_eq!(late, Err(SchemaError::TooSlow(soon)));
        }
        let other = compiled(json!({})).await.unwrap();
        assert_eq!(other.problems(json!({}).into(), PATIENCE).await, Ok(Vec::new()));
    }
}
