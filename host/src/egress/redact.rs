//! What came back, without the secrets that were sent: a server may echo them, and a plugin must not read them.

use secrecy::{ExposeSecret, SecretString};

use crate::config::HttpHost;

/// What stands in a secret's place.
const MASK: &[u8] = b"****";
/// A shorter value is no secret anybody could rely on, and its mask would be longer than it is: the answer would grow.
const SHORTEST_SECRET: usize = MASK.len();
/// From this length on a word of a value is masked by itself: the token behind "Bearer", and not the "Bearer".
const SHORTEST_WORD: usize = 8;

/// What must not be seen, the longest first: of two secrets, one may begin with the other.
pub(super) struct Secrets(Vec<SecretString>);

impl Secrets {
    /// Everything that was sent to these servers.
    pub(super) fn of(hosts: &[&HttpHost]) -> Self {
        let values = hosts.iter().flat_map(|host| &host.headers).map(|(_, value)| value.expose_secret());
        let mut secrets: Vec<&str> = values
            .flat_map(|value| {
                let words = value.split_whitespace().filter(|word| word.len() >= SHORTEST_WORD);
                words.chain([value.trim()].into_iter().filter(|value| value.len() >= SHORTEST_SECRET))
            })
            .collect();
        secrets.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self(secrets.into_iter().map(SecretString::from).collect())
    }

    /// The same with every secret masked; never longer than before.
    pub(super) fn redact(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.0.iter().fold(bytes, |bytes, secret| without(bytes, secret.expose_secret().as_bytes()))
    }

    /// The same as text; what is no UTF-8 is replaced.
    pub(super) fn redact_text(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(&self.redact(bytes.to_vec())).into_owned()
    }
}

fn without(bytes: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let Some(mut at) = find(&bytes, secret) else { return bytes };
    let (mut kept, mut rest) = (Vec::with_capacity(bytes.len()), &bytes[..]);
    loop {
        kept.extend_from_slice(&rest[..at]);
        kept.extend_from_slice(MASK);
        rest = &rest[at + secret.len()..];
        match find(rest, secret) {
            Some(next) => at = next,
            None => break,
        }
    }
    kept.extend_from_slice(rest);
    kept
}

fn find(bytes: &[u8], secret: &[u8]) -> Option<usize> {
    let first = *secret.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(secret) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let header = |value: &&str| (HeaderName::from_static("x-secret"), SecretString::from(*value));
        let headers = values.iter().map(header).collect();
        let host = HttpHost { host: "example.com".into(), port: None, headers, private: false, plain: false };
        Secrets::of(&[&host])
    }

    #[test]
    fn a_token_is_masked_with_and_without_its_scheme() {
        let secrets = secrets(&["Bearer abcdefgh"]);
        assert_eq!(
            secrets.redact_text(b"got Bearer abcdefgh, or abcdefgh; no Bearer"),
            "got ****, or ****; no Bearer"
        );
    }

    #[test]
    fn the_longer_of_two_secrets_goes_first() {
        assert_eq!(secrets(&["abcd", "abcdefgh"]).redact_text(b"abcdefgh abcd"), "**** ****");
    }

    #[test]
    fn what_is_too_short_to_be_a_secret_stays() {
        assert_eq!(secrets(&["2", "v3"]).redact_text(b"v3.2 of 2"), "v3.2 of 2");
    }

    proptest! {
        #[test]
        fn no_secret_is_left_and_nothing_grows(
            secret in "[ab]{4,6}",
            pieces in proptest::collection::vec("[abc]{0,7}", 0..20),
        ) {
            let text = pieces.join(&secret).into_bytes();
            let redacted = secrets(&[&secret]).redact(text.clone());
            prop_assert!(redacted.len() <= text.len());
            prop_assert_eq!(find(&redacted, secret.as_bytes()), None);
        }
    }
}
