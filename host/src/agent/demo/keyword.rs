//! The words that make the demo agent do more than answer: call tools, and misbehave as agents and networks do.

use std::time::Duration;

/// The longest answer that can be asked for, in paragraphs.
const MOST_PARAGRAPHS: usize = 10_000;

/// What a message asks for instead of the usual answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    /// Begins a turn and never ends it.
    Hang,
    /// Takes the message and never says anything.
    HangStart,
    /// Ends in the middle of the turn, without a result.
    Die,
    /// Ends in the middle of a line, with exit code 0.
    AbortLine,
    /// Writes tens of thousands of lines that are no JSON before it answers.
    Flood,
    /// Writes one line of 50 MB before it answers.
    LongLine,
    /// Writes every kind of line that is not part of the protocol before it answers.
    Junk,
    /// Writes a megabyte to stderr before it answers.
    Stderr,
    /// Answers, and does not end when its input does.
    Linger,
    /// Answers under another session's name.
    Lie,
    /// Answers twice.
    TwoResults,
    /// Begins a turn, never ends it, and ignores SIGTERM.
    Stubborn,
    /// Closes its stdout in the middle of the turn, and stays.
    Close,
    /// Starts a process in a group of its own, and dies before that one does.
    Orphan,
    /// Asks the host for thousands of permissions before it answers.
    Requests,
    /// Is ended by the signal of that number.
    Signal(i32),
    /// Reports that the turn limit was reached.
    TurnLimit,
    /// Reports that the budget is used up.
    Budget,
    /// Reports that the API refused.
    Refusal(&'static Refusal),
    /// Calls tools of the host's, and answers with what they said.
    Tool,
    /// Answers after that time.
    Slow(Duration),
    /// Says its answer little by little, over that time.
    Stream(Duration),
    /// Reports for that time that the API refused and is asked again, then answers.
    Retry(Duration),
    /// Answers with so many paragraphs.
    Big(usize),
}

/// How the CLI reports an error of the API.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The API's name of it.
    pub(super) kind: &'static str,
    /// The CLI's name of it, on the `assistant` line.
    pub(super) error: &'static str,
    pub(super) prose: &'static str,
    pub(super) terminal_reason: &'static str,
}

const RATE_LIMIT: Refusal = Refusal {
    status: 429,
    kind: "rate_limit_error",
    error: "rate_limit",
    prose: "API Error: Request rejected (429) · demo rate limit",
    terminal_reason: "api_error",
};
const OVERLOADED: Refusal = Refusal {
    status: 529,
    kind: "overloaded_error",
    error: "server_error",
    prose: "API Error: Repeated 529 Overloaded errors. The demo API is at capacity.",
    terminal_reason: "api_error",
};
const AUTH: Refusal = Refusal {
    status: 401,
    kind: "authentication_error",
    error: "authentication_failed",
    prose: "Failed to authenticate. API Error: 401 demo key refused",
    terminal_reason: "api_error",
};
pub(super) const TOO_LONG: Refusal = Refusal {
    status: 413,
    kind: "request_too_large",
    error: "invalid_request",
    prose: "Request too large (max 32MB). The demo conversation has become too long.",
    terminal_reason: "image_error",
};

/// Every keyword and what it does, for the list that `help` shows.
pub(super) const LISTED: [(&str, &str); 26] = [
    ("demo:tool <name> <json>", "calls one of the bot's tools with that input and shows what it answers"),
    ("demo:slow=<ms>", "answers after that many milliseconds"),
    ("demo:stream=<ms>", "answers little by little, over that many milliseconds"),
    ("demo:retry=<ms>", "reports that the API is overloaded, and answers after that many milliseconds"),
    ("demo:big=<n>", "answers with n paragraphs"),
    ("demo:hang", "begins a turn and never ends it"),
    ("demo:hang-start", "never says anything"),
    ("demo:die", "ends in the middle of a turn"),
    ("demo:abort-line", "ends in the middle of a line"),
    ("demo:flood", "writes 50,000 lines of noise, then answers"),
    ("demo:long-line", "writes one line of 50 MB, then answers"),
    ("demo:junk", "writes lines that are not part of the protocol, then answers"),
    ("demo:stderr", "writes a megabyte of complaints, then answers"),
    ("demo:linger", "answers, and does not end when told to"),
    ("demo:lie", "answers under another session's name"),
    ("demo:two-results", "answers twice"),
    ("demo:stubborn", "never ends a turn, and ignores SIGTERM"),
    ("demo:close", "closes its output in the middle of a turn"),
    ("demo:orphan", "leaves a process behind that outlives it"),
    ("demo:requests", "asks for 10,000 permissions, then answers"),
    ("demo:signal=<n>", "is ended by signal n, such as 9 or 11"),
    ("demo:turn-limit", "reports the turn limit"),
    ("demo:budget", "reports that the budget is used up"),
    ("demo:rate-limit", "reports HTTP 429; `demo:overloaded` 529"),
    ("demo:auth", "reports HTTP 401"),
    ("demo:too-long", "reports HTTP 413"),
];

/// The first keyword among the words of a message.
pub(super) fn find(text: &str) -> Option<Keyword> {
    words(text).find_map(|word| keyword(&word))
}

/// The words of a text in lower case, without the punctuation around them.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|word| !word.is_empty())
}

fn keyword(word: &str) -> Option<Keyword> {
    let (name, value) = word.strip_prefix("demo:")?.split_once('=').map_or_else(
        || (word.trim_start_matches("demo:"), None),
        |(name, value)| (name, value.parse::<u64>().ok()),
    );
    Some(match (name, value) {
        ("tool", None) => Keyword::Tool,
        ("hang", None) => Keyword::Hang,
        ("hang-start", None) => Keyword::HangStart,
        ("die", None) => Keyword::Die,
        ("abort-line", None) => Keyword::AbortLine,
        ("flood", None) => Keyword::Flood,
        ("long-line", None) => Keyword::LongLine,
        ("junk", None) => Keyword::Junk,
        ("stderr", None) => Keyword::Stderr,
        ("linger", None) => Keyword::Linger,
        ("lie", None) => Keyword::Lie,
        ("two-results", None) => Keyword::TwoResults,
        ("stubborn", None) => Keyword::Stubborn,
        ("close", None) => Keyword::Close,
        ("orphan", None) => Keyword::Orphan,
        ("requests", None) => Keyword::Requests,
        ("signal", Some(number)) => Keyword::Signal(i32::try_from(number).ok()?),
        ("turn-limit", None) => Keyword::TurnLimit,
        ("budget", None) => Keyword::Budget,
        ("rate-limit", None) => Keyword::Refusal(&RATE_LIMIT),
        ("overloaded", None) => Keyword::Refusal(&OVERLOADED),
        ("auth", None) => Keyword::Refusal(&AUTH),
        ("too-long", None) => Keyword::Refusal(&TOO_LONG),
        ("slow", Some(milliseconds)) => Keyword::Slow(Duration::from_millis(milliseconds)),
        ("stream", Some(milliseconds)) => Keyword::Stream(Duration::from_millis(milliseconds)),
        ("retry", Some(milliseconds)) => Keyword::Retry(Duration::from_millis(milliseconds)),
        ("big", Some(paragraphs)) => {
            Keyword::Big(usize::try_from(paragraphs).unwrap_or(usize::MAX).clamp(1, MOST_PARAGRAPHS))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_keyword_is_found_anywhere_in_a_shaped_prompt() {
        assert_eq!(find("Ann in All Talk: please demo:die now"), Some(Keyword::Die));
        assert_eq!(find("Ann in All Talk: (DEMO:Die)!"), Some(Keyword::Die));
    }

    #[test]
    fn a_part_of_a_word_is_no_keyword() {
        for text in ["demo:dies", "my-demo:die", "demo:slow", "demo:slow=fast", "demo:die=1", "demo:", "die"]
        {
            assert_eq!(find(text), None, "{text}");
        }
    }

    #[test]
    fn every_listed_keyword_is_one() {
        for (listed, _) in LISTED {
            let word = listed.replace("<ms>", "1").replace("<n>", "1");
            assert!(find(&word).is_some(), "{word}");
        }
    }

    #[test]
    fn numbers_are_bounded() {
        assert_eq!(find("demo:slow=250"), Some(Keyword::Slow(Duration::from_millis(250))));
        assert_eq!(find("demo:big=99999999999"), Some(Keyword::Big(MOST_PARAGRAPHS)));
        assert_eq!(find("demo:big=0"), Some(Keyword::Big(1)));
    }

    proptest! {
        #[test]
        fn any_text_can_be_searched(text in any::<String>()) {
            let _ = find(&text);
            for word in words(&text) {
                prop_assert!(!word.is_empty() && !word.contains(char::is_whitespace));
            }
        }
    }
}
