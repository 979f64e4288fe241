//! What a plugin did, held against what it was to do.

use regex::Regex;
use serde_json::{Value, json};

use super::diff::{Difference, readable};
use crate::{
    config::cases::{Expected, Fits, Part, PartOf, Parts, SetTimer, Text, ToolCall, Words},
    plugin::trace::{HostCall, Line},
    store::Timer,
};

/// Something that is otherwise than it was to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub what: String,
    /// How it differs from what was expected, if there is anything to compare.
    pub difference: Option<Difference>,
}

/// Takes failures down.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) failures: Vec<Failure>,
}

// === impl Failure ===

impl Failure {
    /// One without anything to compare.
    pub fn said(what: String) -> Self {
        Self { what, difference: None }
    }
}

// === impl Wanted ===

impl Wanted {
    pub(super) fn failed(&mut self, what: &str) {
        self.failures.push(Failure::said(what.to_owned()));
    }

    /// These are to be equal.
    pub(super) fn same(&mut self, what: &str, expected: &Value, found: &Value) {
        self.equal(what, &readable(expected), &readable(found));
    }

    fn equal(&mut self, what: &str, expected: &str, found: &str) {
        let difference = Difference::of(("expected", expected), ("is", found));
        if difference.is_some() {
            self.failures.push(Failure { what: format!("{what} is not as expected"), difference });
        }
    }

    /// A text is to be like this.
    fn text(&mut self, what: &str, expected: &Text, found: Option<&str>) {
        let Some(found) = found else {
            return self.failed(&format!("there is no {what}"));
        };
        match expected {
            Text::Is(expected) => self.equal(what, &format!("{expected}\n"), &format!("{found}\n")),
            Text::Fits(fits) => {
                for misfit in fits.misfits(found) {
                    self.failed(&format!("{what} {misfit}:\n{found}"));
                }
            }
        }
    }

    pub(super) fn decision(&mut self, expect: &Expected, decided: &Value) {
        let error = decided["error"].as_str();
        if let Some(expected) = &expect.error {
            return match error {
                Some(error) => self.text("error", expected, Some(error)),
                None => self.failed(&format!("it does not fail, it decides:\n{}", readable(&decided["ok"]))),
            };
        }
        if let Some(error) = error {
            return self.failed(&format!("it fails instead of deciding: {error}"));
        }
        let ok = &decided["ok"];
        let word =
            ok.as_str().or_else(|| ok.as_object()?.keys().next().map(String::as_str)).unwrap_or_default();
        let asks = expect.prompt.is_some() || expect.system_prompt.is_some() || expect.model.is_some();
        let implied = if expect.reply.is_some() {
            Some("reply")
        } else if asks || expect.answer.is_some() {
            Some("ask")
        } else {
            None
        };
        if let Some(expected) = expect.decision.as_deref().or(implied)
            && expected != word
        {
            return self.failed(&format!("it is to {expected}, and decides:\n{}", readable(ok)));
        }
        for (what, name, expected) in [
            ("the prompt", "text", &expect.prompt),
            ("the system prompt", "system-prompt", &expect.system_prompt),
            ("the model", "model", &expect.model),
        ] {
            if let Some(expected) = expected {
                self.text(what, expected, ok["ask"][name].as_str());
            }
        }
        if let Some(expected) = &expect.reply {
            self.parts("the reply", expected, &items(&ok["reply"]));
        }
    }

    pub(super) fn answer(&mut self, expected: Option<&Parts>, said: &Value) {
        match (said["error"].as_str(), expected) {
            (Some(error), _) => self.failed(&format!("it fails instead of formatting the answer: {error}")),
            (None, Some(expected)) => self.parts("the answer", expected, &items(&said["ok"])),
            (None, None) => {}
        }
    }

    pub(super) fn tool(&mut self, tool: &ToolCall, answer: Result<String, String>) {
        let name = &tool.call;
        match answer {
            Ok(output) => {
                if let Some(expected) = &tool.output {
                    self.text(&format!("the output of {name}"), expected, Some(&output));
                }
                if tool.error.is_some() {
                    self.failed(&format!("{name} is to fail, and answers:\n{output}"));
                }
            }
            Err(error) => match &tool.error {
                Some(expected) => self.text(&format!("the error of {name}"), expected, Some(&error)),
                None => self.failed(&format!("{name} fails: {error}")),
            },
        }
    }

    pub(super) fn posts(&mut self, expected: Option<&Parts>, host: &[&HostCall]) {
        let Some(expected) = expected else { return };
        let posts = host.iter().filter(|call| matches!(&*call.function, "campfire.post" | "campfire.edit"));
        let posts: Vec<_> = posts.map(|call| super::value(&call.arguments)["part"].clone()).collect();
        self.parts("what it posts", expected, &posts);
    }

    pub(super) fn log<'a>(&mut self, expected: Option<&Text>, lines: impl Iterator<Item = &'a Line>) {
        let Some(expected) = expected else { return };
        let lines: Vec<_> = lines.map(|line| line.text.as_str()).collect();
        let fits = |line: &&str| match expected {
            Text::Is(expected) => expected == line,
            Text::Fits(fits) => fits.misfits(line).is_empty(),
        };
        if !lines.iter().any(fits) {
            self.failed(&format!("no line of its log is as expected; there are:\n{}", lines.join("\n")));
        }
    }

    pub(super) fn timers(&mut self, expected: &[SetTimer], found: &[Timer]) {
        if expected.len() != found.len() {
            let found = readable(&json!(found.iter().map(told).collect::<Vec<_>>()));
            return self.failed(&format!("{} timers are to be set, and there are:\n{found}", expected.len()));
        }
        for (expected, found) in expected.iter().zip(found) {
            let name = &found.name;
            if let Some(expected) = &expected.name {
                self.text("a timer's name", expected, Some(name));
            }
            if let Some(expected) = &expected.payload {
                self.text(&format!("the payload of {name}"), expected, Some(&found.payload));
            }
            if let Some(expected) = &expected.at {
                let at = told(found)["at"].as_str().unwrap_or_default().to_owned();
                // However it is written.
                let is_same = expected.parse::<jiff::Timestamp>().is_ok_and(|time| time.to_string() == at);
                if !is_same {
                    self.equal(&format!("the time of {name}"), &format!("{expected}\n"), &format!("{at}\n"));
                }
            }
        }
    }

    /// Parts are to be these, in this order.
    fn parts(&mut self, what: &str, expected: &Parts, found: &[Value]) {
        let expected: Vec<&Part> = match expected {
            Parts::Several(several) => several.iter().collect(),
            Parts::One(one) => vec![one],
        };
        // One that is as expected is shown as it is, so that what differs stands out.
        let shown: Vec<_> = expected
            .iter()
            .enumerate()
            .map(|(place, expected)| match found.get(place) {
                Some(found) if expected.fits(found) => found.clone(),
                _ => expected.shown(found.get(place)),
            })
            .collect();
        self.same(what, &json!(shown), &json!(found));
    }
}

fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn told(timer: &Timer) -> Value {
    let at = jiff::Timestamp::from_millisecond(timer.due_at.0).map(|at| at.to_string()).unwrap_or_default();
    json!({ "name": timer.name, "at": at, "payload": timer.payload })
}

// === What fits ===

impl Text {
    fn fits(&self, found: Option<&str>) -> bool {
        found.is_some_and(|found| match self {
            Self::Is(expected) => expected == found,
            Self::Fits(fits) => fits.misfits(found).is_empty(),
        })
    }
}

impl Fits {
    /// What is wrong with a text.
    fn misfits(&self, found: &str) -> Vec<String> {
        let contains = words(self.contains.as_ref()).filter(|word| !found.contains(word));
        let lacks = words(self.lacks.as_ref()).filter(|word| found.contains(word));
        let mut misfits: Vec<_> = contains.map(|word| format!("does not contain “{word}”")).collect();
        misfits.extend(lacks.map(|word| format!("contains “{word}”")));
        if let Some(pattern) = &self.matches {
            match Regex::new(pattern) {
                Ok(regex) if regex.is_match(found) => {}
                Ok(_) => misfits.push(format!("does not match “{pattern}”")),
                Err(error) => misfits.push(format!("can't be held against “{pattern}”: {error}")),
            }
        }
        misfits
    }
}

fn words(words: Option<&Words>) -> impl Iterator<Item = &str> {
    let words = match words {
        None => &[][..],
        Some(Words::One(word)) => std::slice::from_ref(word),
        Some(Words::Several(words)) => words,
    };
    words.iter().map(String::as_str)
}

impl Part {
    fn fits(&self, found: &Value) -> bool {
        let text = ["markdown", "html", "text"].iter().find_map(|format| found[format].as_str());
        match self {
            Self::Any(expected) => text == Some(expected),
            Self::Of(of) => of.fits(found, text),
        }
    }

    /// What it is to be, in the place of what is there.
    fn shown(&self, found: Option<&Value>) -> Value {
        match self {
            Self::Any(text) => {
                let formats = ["html", "text"];
                let format =
                    formats.into_iter().find(|format| found.is_some_and(|found| found.get(format).is_some()));
                json!({ format.unwrap_or("markdown"): text })
            }
            // Strings; serialising them can't fail.
            Self::Of(of) => serde_json::to_value(of).unwrap_or_default(),
        }
    }
}

impl PartOf {
    fn fits(&self, found: &Value, text: Option<&str>) -> bool {
        let Self { markdown, html, text: plain, boost, sound, file, contains, lacks, matches } = self;
        let formats =
            [("markdown", markdown), ("html", html), ("text", plain), ("boost", boost), ("sound", sound)];
        let of_format = formats.iter().all(|(format, expected)| {
            expected.as_ref().is_none_or(|text| text.fits(found[*format].as_str()))
        });
        let of_file = file.as_ref().is_none_or(|file| {
            let parts = [("name", &file.name), ("media-type", &file.media_type), ("content", &file.content)];
            found["file"].is_object()
                && parts.iter().all(|(name, expected)| {
                    expected.as_ref().is_none_or(|text| text.fits(found["file"][*name].as_str()))
                })
        });
        let fits = Fits { contains: contains.clone(), lacks: lacks.clone(), matches: matches.clone() };
        let any = contains.is_none() && lacks.is_none() && matches.is_none();
        of_format && of_file && (any || text.is_some_and(|text| fits.misfits(text).is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(toml: &str) -> Parts {
        #[derive(serde::Deserialize)]
        struct Of {
            parts: Parts,
        }
        toml::from_str::<Of>(&format!("parts = {toml}")).unwrap().parts
    }

    fn failures(expected: &str, found: &Value) -> Vec<Failure> {
        let mut wanted = Wanted::default();
        wanted.parts("the reply", &parts(expected), &items(found));
        wanted.failures
    }

    #[test]
    fn a_text_fits_in_any_format_and_by_what_is_said_of_it() {
        let found = json!([{ "markdown": "one two" }, { "boost": "👀" }]);
        for expected in [
            "['one two', { boost = '👀' }]",
            "[{ markdown = 'one two' }, { boost = { contains = '👀' } }]",
            "[{ contains = ['one', 'two'], lacks = 'three', matches = '^one .*o$' }, { boost = '👀' }]",
        ] {
            assert_eq!(failures(expected, &found), [], "{expected}");
        }
        for expected in ["'one two'", "['one two', '👀']", "[{ text = 'one two' }, { boost = '👀' }]", "[]"]
        {
            assert_eq!(failures(expected, &found).len(), 1, "{expected}");
        }
    }

    #[test]
    fn a_failure_shows_what_was_expected_in_its_place() {
        let failure = failures("['a', 'b']", &json!([{ "text": "a" }, { "text": "c" }])).remove(0);
        assert_eq!(failure.what, "the reply is not as expected");
        assert!(failure.difference.unwrap().diff.ends_with("   text: a\n -\n-  text: b\n+  text: c\n"));
    }

    #[test]
    fn every_word_that_is_missing_is_named() {
        let fits = Fits { contains: Some(Words::Several(vec!["a".into(), "b".into()])), ..Fits::default() };
        assert_eq!(fits.misfits("x"), ["does not contain “a”", "does not contain “b”"]);
        let fits = Fits { matches: Some("(".into()), ..Fits::default() };
        assert!(fits.misfits("x")[0].contains("can't be held against “(”"), "{:?}", fits.misfits("x"));
    }
}
