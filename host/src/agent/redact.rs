//! What an agent says for the log: bounded, and without the secrets it was handed.

use secrecy::{ExposeSecret, SecretString};

/// What stands in a secret's place.
const MASK: &str = "****";

/// A shorter value is no secret anybody could rely on; masking it would only garble the text.
const SHORTEST_SECRET: usize = 6;

/// How much of stderr is kept, in bytes: its end, where the reason stands.
const TAIL_LIMIT: usize = 8 << 10;

/// Values that must not be seen.
pub(super) struct Secrets(Vec<SecretString>);

impl Secrets {
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> =
            values.into_iter().filter(|value| value.len() >= SHORTEST_SECRET).collect();
        // The longest first: of two secrets, one may begin with the other.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values.into_iter().map(SecretString::from).collect())
    }

    /// `text` with every secret masked.
    pub(super) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), MASK))
    }

    fn longest(&self) -> usize {
        self.0.first().map_or(0, |secret| secret.expose_secret().len())
    }
}

/// The end of a stream of any length.
pub(super) struct Tail {
    bytes: Vec<u8>,
    capacity: usize,
    /// The stream was longer than what is kept.
    cut: bool,
    /// The longest secret, in bytes: so much at the cut may be the rest of one, which no longer can be recognised.
    doubtful: usize,
}

impl Tail {
    /// Nothing seen yet of a stream in which `secrets` may stand.
    pub(super) fn new(secrets: &Secrets) -> Self {
        let doubtful = secrets.longest();
        Self { bytes: Vec::new(), capacity: TAIL_LIMIT + doubtful, cut: false, doubtful }
    }

    /// Adds what came next.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        // Cut rarely, so that a flood costs one copy a byte.
        if self.bytes.len() > 2 * self.capacity {
            self.cut_to_capacity();
        }
    }

    /// The end of the stream in readable, redacted form, trimmed.
    pub(super) fn redacted(&mut self, secrets: &Secrets) -> String {
        self.cut_to_capacity();
        let text = secrets.redact(&String::from_utf8_lossy(&self.bytes));
        let doubtful = if self.cut { self.doubtful } else { 0 };
        end_of(&text[text.ceil_char_boundary(doubtful)..], TAIL_LIMIT).trim().to_owned()
    }

    fn cut_to_capacity(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.capacity);
        if surplus > 0 {
            self.bytes.drain(..surplus);
            self.cut = true;
        }
    }
}

/// At most the last `limit` bytes of `text`.
fn end_of(text: &str, limit: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(limit))..]
}

/// At most the first `limit` bytes of `text`, with an ellipsis where something was cut off.
pub(super) fn beginning_of(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        Secrets::new(values.iter().map(|value| (*value).to_owned()))
    }

    #[test]
    fn the_longer_of_two_overlapping_secrets_goes_first() {
        let secrets = secrets(&["sk-ant", "sk-ant-longer"]);
        assert_eq!(secrets.redact("sk-ant-longer sk-ant"), "**** ****");
    }

    #[test]
    fn a_short_value_is_no_secret() {
        assert_eq!(secrets(&["1", ""]).redact("exit code 1"), "exit code 1");
    }

    #[test]
    fn the_end_of_a_flood_is_kept() {
        let none = secrets(&[]);
        let mut tail = Tail::new(&none);
        for _ in 0..10_000 {
            tail.push(b"noise noise noise\n");
        }
        tail.push("the reason: é\n".as_bytes());
        let text = tail.redacted(&none);
        assert!(text.ends_with("the reason: é"));
        assert!(text.len() <= TAIL_LIMIT);
        assert!(tail.bytes.capacity() <= 8 * TAIL_LIMIT);
    }

    proptest! {
        #[test]
        fn no_part_of_a_secret_shows_wherever_the_cut_falls(
            before in 0_usize..60,
            after in TAIL_LIMIT - 60..TAIL_LIMIT + 60,
            size in 1_usize..5000,
        ) {
            let secrets = secrets(&["QWERTZUIOPASDFGHJKL"]);
            let mut tail = Tail::new(&secrets);
            let text = format!("{}QWERTZUIOPASDFGHJKL{}", "é".repeat(before), ".".repeat(after));
            for chunk in text.as_bytes().chunks(size) {
                tail.push(chunk);
            }
            let shown = tail.redacted(&secrets);
            prop_assert!(!shown.contains(|c: char| c.is_ascii_uppercase()), "{}", shown);
            prop_assert!(shown.len() <= TAIL_LIMIT);
        }
    }
}
