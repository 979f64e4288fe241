//! What of a message is printed.

use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use miette::{IntoDiagnostic, Report};
use serde::Serialize;

use crate::{
    cli::terminal::{self, paint, style},
    id::{BotName, MessageId, RoomId, Timestamp},
    playground::{Emphasis, Message, Piece, Playground},
};

/// How messages are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// Each as an object on a line of its own.
    Json,
    /// The text.
    Plain,
    /// Who wrote it, and the text with what it sets off.
    Styled,
}

/// A message, for programs.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Told<'a> {
    bot: &'a BotName,
    room: RoomId,
    message: MessageId,
    /// When it was written, in milliseconds since 1970.
    at: Timestamp,
    /// As text; of a file its name.
    text: &'a str,
    /// As it was posted; none of a file.
    html: Option<&'a str>,
    file: Option<ToldFile<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ToldFile<'a> {
    name: &'a str,
    media_type: &'a str,
    /// In bytes.
    size: usize,
}

// === impl Shows ===

impl Shows {
    /// The way for whoever reads what this process prints.
    pub(super) fn fitting(json: bool) -> Self {
        match (json, io::stdout().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Styled,
            (false, false) => Self::Plain,
        }
    }

    /// What is printed of a message of the bot's.
    pub(super) fn message(
        self,
        playground: &Playground,
        bot: &BotName,
        message: &Message,
    ) -> Result<String, Report> {
        let file = message.attachment.as_ref();
        let described =
            file.map(|file| format!("📎 {} ({}, {} bytes)", file.name, file.media_type, file.size));
        Ok(match self {
            Self::Json => {
                let told = Told {
                    bot,
                    room: message.room,
                    message: message.id,
                    at: message.created_at,
                    text: &message.plain,
                    html: message.html.as_deref(),
                    file: file.map(|file| ToldFile {
                        name: &file.name,
                        media_type: &file.media_type,
                        size: file.size,
                    }),
                };
                serde_json::to_string(&told).into_diagnostic()?
            }
            Self::Plain => described.unwrap_or_else(|| message.plain.clone()),
            Self::Styled => {
                let text = described.map_or_else(
                    || styled(&playground.pieces(message), terminal::has_styles()),
                    |described| terminal::tame(&described),
                );
                format!("{}: {text}", paint(style::NAME, bot.as_str()))
            }
        })
    }
}

/// Text as a terminal sets it off. Where it can't, links are written out.
fn styled(pieces: &[Piece], has_styles: bool) -> String {
    pieces.iter().map(|Piece { text, emphasis }| piece(&tame(text), emphasis, has_styles)).collect()
}

fn piece(text: &str, emphasis: &Emphasis, has_styles: bool) -> String {
    let mut style = Style::new();
    if emphasis.strong {
        style = style.bold();
    }
    if emphasis.leaning {
        style = style.italic();
    }
    if emphasis.struck {
        style = style.strikethrough();
    }
    if emphasis.code {
        style = style.fg_color(Some(AnsiColor::Yellow.into()));
    }
    let link = emphasis.link.as_deref().map(terminal::tame).filter(|link| !link.is_empty());
    match link {
        None => paint(style, text),
        Some(link) if has_styles => {
            let text = paint(style.underline(), text);
            format!("\u{1b}]8;;{link}\u{1b}\\{text}\u{1b}]8;;\u{1b}\\")
        }
        Some(link) if link == text => text.to_owned(),
        Some(link) => format!("{text} ({link})"),
    }
}

/// Somebody's lines, without what would steer a terminal.
fn tame(text: &str) -> String {
    text.split('\n').map(terminal::tame).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str, emphasis: Emphasis) -> Piece {
        Piece { text: text.to_owned(), emphasis }
    }

    #[test]
    fn what_is_set_off_is_set_off_in_a_terminal_and_nothing_else_steers_it() {
        let link = || Emphasis { link: Some("https://x.example/\u{1b}".to_owned()), ..Emphasis::default() };
        let pieces = [
            span("a\n\u{1b}[2J", Emphasis::default()),
            span("b", Emphasis { strong: true, leaning: true, ..Emphasis::default() }),
            span("c", Emphasis { code: true, struck: true, ..Emphasis::default() }),
            span("d", link()),
        ];
        let shown = styled(&pieces, true);
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert_eq!(plain, "a\n [2Jbcd");
        for set_off in [
            "\u{1b}[1m\u{1b}[3mb\u{1b}[0m",
            "\u{1b}[9m\u{1b}[33mc\u{1b}[0m",
            "\u{1b}]8;;https://x.example/ \u{1b}\\",
        ] {
            assert!(shown.contains(set_off), "{set_off:?} is not in {shown:?}");
        }
        let shown = styled(&pieces, false);
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert_eq!(plain, "a\n [2Jbcd (https://x.example/ )");
        let itself = span(
            "https://x.example",
            Emphasis { link: Some("https://x.example".to_owned()), ..Emphasis::default() },
        );
        assert_eq!(styled(&[itself], false), "https://x.example");
    }
}
