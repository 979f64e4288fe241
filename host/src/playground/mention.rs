//! Mentions: only an attachment signed by this playground names somebody.
//!
//! A signed id has the shape of Campfire's: a base64 document that names the user, two dashes, a signature. The
//! signing key is made for each playground, so an id from another one, or from another run, is as good as forged.
//! A forged mention still looks like one in the room; it notifies nobody.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{html::escape, random};
use crate::id::UserId;

/// The content type that Campfire gives the attachment of a mention.
pub(super) const MENTION_TYPE: &str = "application/vnd.campfire.mention";

/// Signs the ids of users, and knows its own signatures.
pub(super) struct Signer {
    key: [u8; 32],
}

impl Signer {
    pub(super) fn new() -> Self {
        Self { key: random() }
    }

    /// The signed id of `user`.
    pub(super) fn sign(&self, user: UserId) -> String {
        let document = STANDARD.encode(format!(
            r#"{{"_rails":{{"data":"gid://campfire/User/{user}?expires_in","pur":"attachable"}}}}"#
        ));
        format!("{document}--{}", self.signature(&document))
    }

    /// The user a signed id names; none if this signer didn't make it.
    pub(super) fn verify(&self, signed: &str) -> Option<UserId> {
        let (document, signature) = signed.rsplit_once("--")?;
        if !bool::from(self.signature(document).as_bytes().ct_eq(signature.as_bytes())) {
            return None;
        }
        let document = String::from_utf8(STANDARD.decode(document).ok()?).ok()?;
        let (_, rest) = document.split_once("gid://campfire/User/")?;
        rest.split_once('?')?.0.parse().ok().map(UserId)
    }

    /// A real mention of `user`, as the editor of the web page makes it.
    pub(super) fn attachment(&self, user: UserId, name: &str) -> String {
        let sgid = self.sign(user);
        let name = escape(name);
        let content = format!(
            r#"<span class="mention" sgid={sgid}><img src="/users/{user}/avatar" class="avatar" alt="{name}">{name}</span>"#
        );
        format!(
            r#"<action-text-attachment sgid="{sgid}" content-type="{MENTION_TYPE}" content="{}"></action-text-attachment>"#,
            escape(&content)
        )
    }

    /// What somebody typed, as HTML: `@Name` of one of `members` becomes a real mention, everything else stays text.
    ///
    /// The longest fitting name wins, and a name counts only as a whole word: "@Echo" is not in "@Echoes".
    pub(super) fn mark_up(&self, text: &str, members: &[(UserId, &str)]) -> String {
        let mut html = String::from("<div>");
        let mut rest = text.trim();
        let mut before = ' ';
        while let Some(character) = rest.chars().next() {
            let mentioned = (character == '@' && !before.is_alphanumeric())
                .then(|| longest_name(&rest[1..], members))
                .flatten();
            let taken = if let Some((user, name, length)) = mentioned {
                html.push_str(&self.attachment(user, name));
                1 + length
            } else {
                match character {
                    '\n' => html.push_str("<br>"),
                    '\r' => {}
                    _ => html.push_str(&escape(&rest[..character.len_utf8()])),
                }
                character.len_utf8()
            };
            before = rest[..taken].chars().next_back().unwrap_or(' ');
            rest = &rest[taken..];
        }
        html + "</div>"
    }

    /// The key is on both sides, so that a known signature can't be extended into another.
    fn signature(&self, document: &str) -> String {
        let digest =
            Sha256::new().chain_update(self.key).chain_update(document).chain_update(self.key).finalize();
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            for half in [byte >> 4, byte & 15] {
                hex.push(char::from(b"0123456789abcdef"[usize::from(half)]));
            }
            hex
        })
    }
}

/// Whose name `text` begins with, and how many bytes of `text` that is.
fn longest_name<'a>(text: &str, members: &[(UserId, &'a str)]) -> Option<(UserId, &'a str, usize)> {
    members
        .iter()
        .filter_map(|(user, name)| {
            let length = prefix_length(text, name)?;
            let ends_here = text[length..].chars().next().is_none_or(|next| !next.is_alphanumeric());
            ends_here.then_some((*user, *name, length))
        })
        .max_by_key(|(_, _, length)| *length)
}

/// How many bytes of `text` spell `name`, whatever their case. None if it begins with something else.
fn prefix_length(text: &str, name: &str) -> Option<usize> {
    let mut characters = text.chars();
    let mut length = 0;
    for wanted in name.chars() {
        let found = characters.next()?;
        if !found.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
        length += found.len_utf8();
    }
    (length > 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::playground::html::{Mention, mentions};

    const ECHO: UserId = UserId(2);
    const ECHO_TWO: UserId = UserId(3);

    fn mentioned(signer: &Signer, html: &str) -> Vec<UserId> {
        mentions(html, signer).into_iter().filter_map(|Mention { user, .. }| user).collect()
    }

    #[test]
    fn a_signed_id_is_known_to_its_signer_only() {
        let (ours, theirs) = (Signer::new(), Signer::new());
        let sgid = ours.sign(ECHO);
        assert_eq!(ours.verify(&sgid), Some(ECHO));
        assert_eq!(theirs.verify(&sgid), None);
        assert_eq!(ours.verify(&sgid[..sgid.len() - 1]), None);
    }

    #[test]
    fn a_signature_does_not_carry_over_to_another_user() {
        let signer = Signer::new();
        let (sgid, other) = (signer.sign(ECHO), signer.sign(ECHO_TWO));
        let signature = sgid.rsplit_once("--").unwrap().1;
        let document = other.rsplit_once("--").unwrap().0;
        assert_eq!(signer.verify(&format!("{document}--{signature}")), None);
    }

    #[test]
    fn the_longest_name_wins_and_part_of_a_word_is_no_name() {
        let signer = Signer::new();
        let members = [(ECHO, "Echo"), (ECHO_TWO, "Echo Two")];
        let cases: [(&str, &[UserId]); 7] = [
            ("@Echo Two, hi", &[ECHO_TWO]),
            ("hi @echo", &[ECHO]),
            ("@Echo @Echo Two", &[ECHO, ECHO_TWO]),
            ("(@Echo)", &[ECHO]),
            ("@Echoes", &[]),
            ("me@echo.example", &[]),
            ("Echo", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(mentioned(&signer, &signer.mark_up(text, &members)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_typed_stays_text() {
        let html = Signer::new().mark_up("<b>&\r\n\"x\"", &[(ECHO, "<b>")]);
        assert_eq!(html, "<div>&lt;b&gt;&amp;<br>&quot;x&quot;</div>");
    }

    #[test]
    fn a_name_of_markup_is_mentioned_without_becoming_markup() {
        let signer = Signer::new();
        let html = signer.mark_up("@<img src=x> hi", &[(ECHO, "<img src=x>")]);
        assert_eq!(mentioned(&signer, &html), [ECHO]);
        assert!(!html.contains("<img"), "{html}");
    }

    proptest! {
        #[test]
        fn any_text_and_any_name_can_be_marked_up(text in "\\PC{0,60}", name in "\\PC{1,12}") {
            let signer = Signer::new();
            let html = signer.mark_up(&format!("{text} @{name}"), &[(ECHO, &name)]);
            prop_assert!(html.starts_with("<div>") && html.ends_with("</div>"));
        }
    }
}
