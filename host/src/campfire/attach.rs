//! Long code and long tables go out of a text in Markdown, to be sent as files.
//!
//! Only what stands by itself does: a block within a list or a quote stays where it is. Each file has a line in its
//! place that names it. The name's end is one of a few that are known; it is never the text's own choice.

use comrak::{
    Arena, Options,
    nodes::{AstNode, NodeValue},
};

use super::{Outgoing, shown::MARKUP_LIMIT};

/// What a block's info string makes of a file's name, where that is not the word itself.
const ENDINGS: [(&str, &str); 18] = [
    ("bash", "sh"),
    ("c++", "cpp"),
    ("csharp", "cs"),
    ("elixir", "ex"),
    ("golang", "go"),
    ("haskell", "hs"),
    ("javascript", "js"),
    ("kotlin", "kt"),
    ("markdown", "md"),
    ("perl", "pl"),
    ("powershell", "ps1"),
    ("python", "py"),
    ("ruby", "rb"),
    ("rust", "rs"),
    ("shell", "sh"),
    ("typescript", "ts"),
    ("yml", "yaml"),
    ("zsh", "sh"),
];
/// Words that are endings themselves.
const WORDS: [&str; 33] = [
    "c", "cpp", "cs", "css", "csv", "diff", "ex", "go", "h", "hs", "html", "ini", "java", "js", "json", "kt",
    "log", "lua", "md", "php", "pl", "ps1", "py", "rb", "rs", "sh", "sql", "swift", "toml", "ts", "tsx",
    "xml", "yaml",
];

/// The text without its code blocks and tables of more than `over` bytes, and these as files in their order; none if it
/// has no such.
pub fn attach(markdown: &str, over: usize) -> Option<(String, Vec<Outgoing>)> {
    if markdown.len() <= over || markdown.len() > MARKUP_LIMIT {
        return None;
    }
    let mut options = Options::default();
    options.extension.table = true;
    let arena = Arena::new();
    let root = comrak::parse_document(&arena, markdown, &options);
    let lines: Vec<&str> = markdown.split('\n').collect();
    let (mut text, mut files, mut next) = (String::new(), Vec::new(), 0);
    for block in root.children() {
        let ast = block.data.borrow();
        let (from, to) =
            (ast.sourcepos.start.line.saturating_sub(1), ast.sourcepos.end.line.min(lines.len()));
        let (ending, media_type, content) = match &ast.value {
            NodeValue::CodeBlock(code) if code.literal.len() > over => {
                (ending(&code.info), "text/plain", code.literal.clone())
            }
            NodeValue::Table(_)
                if lines[from..to].iter().map(|line| line.len() + 1).sum::<usize>() > over =>
            {
                ("csv", "text/csv", csv(block))
            }
            _ => continue,
        };
        let number = files.len() + 1;
        let name = if number == 1 { format!("answer.{ending}") } else { format!("answer-{number}.{ending}") };
        lines[next..from].iter().for_each(|line| add(&mut text, line));
        add(&mut text, &format!("📎 `{name}` ({} KiB)\n", content.len().div_ceil(1024)));
        next = to;
        files.push(Outgoing::File { name, media_type: media_type.to_owned(), content: content.into() });
    }
    lines[next.min(lines.len())..].iter().for_each(|line| add(&mut text, line));
    (!files.is_empty()).then_some((text, files))
}

fn add(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn ending(info: &str) -> &'static str {
    let word = info.split([' ', ',', '{', '\t']).next().unwrap_or_default().to_ascii_lowercase();
    let known = ENDINGS.iter().find(|(language, _)| *language == word).map(|(_, ending)| *ending);
    known.or_else(|| WORDS.into_iter().find(|ending| *ending == word)).unwrap_or("txt")
}

fn csv<'a>(table: &'a AstNode<'a>) -> String {
    let mut csv = String::new();
    for row in table.children() {
        let cells: Vec<String> = row.children().map(|cell| quoted(&plain(cell))).collect();
        csv.push_str(&cells.join(","));
        csv.push_str("\r\n");
    }
    csv
}

fn plain<'a>(cell: &'a AstNode<'a>) -> String {
    let mut text = String::new();
    for node in cell.descendants() {
        match &node.data.borrow().value {
            NodeValue::Text(words) => text.push_str(words),
            NodeValue::Code(code) => text.push_str(&code.literal),
            NodeValue::SoftBreak | NodeValue::LineBreak => text.push(' '),
            _ => {}
        }
    }
    text
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files(attached: &[Outgoing]) -> Vec<(&str, &str)> {
        attached
            .iter()
            .map(|file| match file {
                Outgoing::File { name, content, .. } => {
                    (name.as_str(), std::str::from_utf8(content).unwrap())
                }
                other => panic!("no file: {other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_long_block_becomes_a_file_and_a_short_one_stays() {
        let long = "let x = 1;\n".repeat(10);
        let text = format!("Before\n\n```rust\n{long}```\nbetween\n\n```\nshort\n```\n\nAfter");
        let (left, attached) = attach(&text, 50).unwrap();
        assert_eq!(left, "Before\n\n📎 `answer.rs` (1 KiB)\n\nbetween\n\n```\nshort\n```\n\nAfter\n");
        assert_eq!(files(&attached), [("answer.rs", long.as_str())]);
        assert_eq!(attach(&text, 1000), None);
    }

    #[test]
    fn a_long_table_becomes_one_of_values() {
        let text = "| a | b |\n|---|---|\n| 1, 2 | **x** `y` |\n| say \"z\" | |\n\n~~~py\nprint('a long line of code')\n~~~";
        let (left, attached) = attach(text, 20).unwrap();
        assert_eq!(left, "📎 `answer.csv` (1 KiB)\n\n\n📎 `answer-2.py` (1 KiB)\n\n");
        assert_eq!(
            files(&attached),
            [
                ("answer.csv", "a,b\r\n\"1, 2\",x y\r\n\"say \"\"z\"\"\",\r\n"),
                ("answer-2.py", "print('a long line of code')\n"),
            ]
        );
    }

    #[test]
    fn a_file_is_not_named_by_the_text() {
        for info in ["../../etc/passwd", "exe", "rust/../x", "", "💥"] {
            assert_eq!(ending(info), "txt", "{info}");
        }
        assert_eq!((ending("Python title=x"), ending("c++"), ending("json,ignore")), ("py", "cpp", "json"));
    }

    #[test]
    fn a_block_without_an_end_goes_to_the_end() {
        let (left, attached) = attach("x\n```js\nconsole.log('that is long enough')", 20).unwrap();
        assert_eq!(left, "x\n📎 `answer.js` (1 KiB)\n\n");
        assert_eq!(files(&attached), [("answer.js", "console.log('that is long enough')")]);
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_through(text in "(```[a-z]{0,3}\n|[a-z|\\-> \n]{0,20}|\\PC{0,5}){0,20}", over in 1_usize..40) {
            if let Some((left, attached)) = attach(&text, over) {
                prop_assert!(!left.is_empty() && !attached.is_empty());
            }
        }
    }
}
