//! Whether a message in a room is one that was sent there: by what it says, since Campfire gives no other sign.
//!
//! Markup is not compared. What Campfire tells of a message may be sanitised otherwise than what was sent, and a mention is
//! shown in more than one way; white space collapses. So both sides are taken down to their visible characters.

use super::{
    Outgoing, PastMessage,
    parse::parse,
    tree::{MENTION, Node, is_blank, text_of},
};

/// What Campfire keeps of these in the name of a file is a dash.
const NOT_IN_NAMES: &[char] =
    &['\u{202e}', '%', '$', '|', ':', ';', '/', '<', '>', '?', '*', '"', '\t', '\r', '\n', '\\'];

impl Outgoing {
    /// Whether `past` may be this post. A reaction and a change are never a message.
    pub fn is_like(&self, past: &PastMessage) -> bool {
        match self {
            Self::Html(html) => {
                let sent = parse(html);
                let told =
                    [past.html.as_deref().map(|html| words(&parse(html), false)), Some(visible(&past.text))];
                let mut ways = [words(&sent, false), words(&sent, true)].into_iter();
                ways.any(|way| told.iter().flatten().any(|told| *told == way))
            }
            Self::File { name, .. } => past.html.is_none() && file_name(name) == file_name(&past.text),
            Self::Boost(_) | Self::Edit { .. } | Self::Remove { .. } => false,
        }
    }
}

/// The visible characters, with or without what mentions show.
fn words(nodes: &[Node], with_mentions: bool) -> String {
    let mut text = String::new();
    for node in nodes {
        match node {
            Node::Element(element) if element.name == MENTION => {
                if let Some(content) = element.attribute("content").filter(|_| with_mentions) {
                    text_of(&parse(content), &mut text);
                }
            }
            Node::Element(element) if !element.children.is_empty() => {
                text.push_str(&words(&element.children, with_mentions));
            }
            other => text_of(std::slice::from_ref(other), &mut text),
        }
    }
    visible(&text)
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !is_blank(*c)).collect()
}

fn file_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    visible(name).chars().map(|c| if NOT_IN_NAMES.contains(&c) { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        campfire::{Format, Person},
        id::{MessageId, Timestamp, UserId},
    };

    fn past(html: Option<&str>, text: &str) -> PastMessage {
        PastMessage {
            id: MessageId(1),
            author: Person { id: UserId(2), name: "bot".into() },
            text: text.into(),
            html: html.map(str::to_owned),
            created_at: Timestamp(0),
            by_bot: false,
        }
    }

    #[test]
    fn a_message_is_known_by_its_words_whatever_the_markup() {
        let sent = Outgoing::text(Format::Markdown, "**Hello** you & <me>:\n\n- `a  b`\n- c");
        let [sent] = sent.as_slice() else { panic!("one post") };
        for told in [
            past(
                Some("<div><b>Hello</b> you &amp; &lt;me&gt;:<br>\n<ul><li>a b</li><li>c</li></ul></div>"),
                "",
            ),
            past(None, "Hello you & <me>: a b c"),
            past(
                Some("<table>other rendering</table>"),
                "Hello  you & <me>:\n• a b\nc".replace('•', "").as_str(),
            ),
        ] {
            assert!(sent.is_like(&told), "{told:?}");
        }
        for other in [past(Some("<p>Hello you</p>"), "Hello you"), past(None, ""), past(Some(""), "")] {
            assert!(!sent.is_like(&other), "{other:?}");
        }
    }

    #[test]
    fn a_mention_may_be_shown_in_any_way() {
        let mention = r#"<action-text-attachment sgid="x" content-type="application/vnd.campfire.mention" content="&lt;span&gt;@Ann&lt;/span&gt;"></action-text-attachment>"#;
        let sent = Outgoing::Html(format!("<p>{mention} look</p>"));
        for told in [
            past(Some(&format!("<p>{mention} look</p>")), "@Ann look"),
            past(Some("<p><span>@Ann</span> look</p>"), ""),
            past(None, "@Ann look"),
        ] {
            assert!(sent.is_like(&told), "{told:?}");
        }
        assert!(!sent.is_like(&past(Some("<p>@Bob look</p>"), "@Bob look")));
    }

    #[test]
    fn a_file_is_known_by_its_name_as_campfire_keeps_it() {
        let sent = Outgoing::File {
            name: "reports/May: 100%.csv".into(),
            media_type: "text/csv".into(),
            content: bytes::Bytes::new(),
        };
        assert!(sent.is_like(&past(None, "May- 100-.csv")));
        assert!(!sent.is_like(&past(None, "June- 100-.csv")));
        assert!(!sent.is_like(&past(Some("<p>May: 100%.csv</p>"), "May: 100%.csv")), "that is a message");
    }
}
