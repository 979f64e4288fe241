//! What is said, in a form that people read, and how it differs from what was said before or was expected.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use similar::TextDiff;

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// Two texts that differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// A unified diff.
    pub diff: String,
}

// === impl Difference ===

impl Difference {
    /// What differs between these; none if nothing does.
    pub fn of(before: (&str, &str), after: (&str, &str)) -> Option<Self> {
        let ((before_name, before), (after_name, after)) = (before, after);
        if before == after {
            return None;
        }
        let diff = TextDiff::from_lines(before, after)
            .unified_diff()
            .context_radius(CONTEXT)
            .missing_newline_hint(false)
            .header(before_name, after_name)
            .to_string();
        Some(Self { diff })
    }
}

/// JSON as lines: names and values, texts of several lines below their name.
pub fn readable(value: &Value) -> String {
    let mut lines = String::new();
    write(&mut lines, 0, value);
    lines
}

fn write(lines: &mut String, depth: usize, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter().filter(|(_, field)| !field.is_null()) {
                named(lines, depth, &format!("{name}:"), field);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| named(lines, depth, "-", item)),
        plain => line(lines, depth, &text(plain)),
    }
}

fn named(lines: &mut String, depth: usize, name: &str, value: &Value) {
    let inside = text(value);
    match value {
        Value::Object(_) | Value::Array(_) => {
            line(lines, depth, name);
            write(lines, depth + 1, value);
        }
        _ if inside.contains('\n') => {
            line(lines, depth, name);
            inside.split('\n').for_each(|inside| line(lines, depth + 1, inside));
        }
        _ => line(lines, depth, &format!("{name} {inside}")),
    }
}

fn line(lines: &mut String, depth: usize, text: &str) {
    // Other people's words must not move a terminal's cursor.
    let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let indented = format!("{}{text}", "  ".repeat(depth));
    lines.push_str(indented.trim_end());
    // That a line ends in spaces is seen.
    lines.push_str(&"·".repeat(text.len() - text.trim_end_matches(' ').len()));
    lines.push('\n');
}

/// A plain value without quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_reads_well() {
        let said = json!({ "ok": { "ask": { "text": "one\ntwo ", "model": null } }, "parts": [{ "boost": "👀" }, 7] });
        assert_eq!(
            readable(&said),
            "ok:\n  ask:\n    text:\n      one\n      two·\nparts:\n  -\n    boost: 👀\n  - 7\n"
        );
    }

    #[test]
    fn a_difference_shows_the_lines_around_it() {
        assert_eq!(Difference::of(("then", "a\n"), ("now", "a\n")), None);
        let difference = Difference::of(("then", "a\nb\nc\n"), ("now", "a\nB\nc\n")).unwrap();
        assert_eq!(difference.diff, "--- then\n+++ now\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
    }
}
