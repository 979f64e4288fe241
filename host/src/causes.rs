//! An error and everything behind it, in one line: what a log and an operator need.

use std::error::Error;

/// The error's own words, then those of each cause, set off by colons. Words that a cause only repeats are left out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !line.ends_with(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Link {
        words: &'static str,
        source: Option<Box<Link>>,
    }

    fn link(words: &'static str, source: Option<Link>) -> Link {
        Link { words, source: source.map(Box::new) }
    }

    #[test]
    fn every_cause_is_named_once() {
        let error = link("can't post", Some(link("can't connect", Some(link("refused", None)))));
        assert_eq!(with_causes(&error), "can't post: can't connect: refused");
        let repeating = link("can't post: refused", Some(link("refused", None)));
        assert_eq!(with_causes(&repeating), "can't post: refused");
    }
}
