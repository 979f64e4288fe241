//! What readers see, and what nobody can make them see.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{
    super::tree::{Node, is_blank},
    *,
};

fn markdown(text: &str) -> String {
    messages(Format::Markdown, text).join("⏎")
}

fn html(text: &str) -> String {
    messages(Format::Html, text).join("⏎")
}

/// What a reader sees, without white space and what else shows nothing.
fn seen(messages: &[String]) -> String {
    fn text(nodes: &[Node], out: &mut String) {
        for node in nodes {
            match node {
                Node::Text(own) => out.push_str(own),
                Node::Element(element) => text(&element.children, out),
            }
        }
    }
    let mut out = String::new();
    for message in messages {
        text(&parse::parse(message), &mut out);
    }
    without_blanks(&out)
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !is_blank(*c)).collect()
}

/// Checks what holds for every message, with a reader of tags of its own.
fn assert_sound(messages: &[String]) {
    for message in messages {
        assert!(message.len() <= MESSAGE_LIMIT, "{} bytes", message.len());
        assert!(
            !seen(std::slice::from_ref(message)).is_empty() || message.contains("sgid="),
            "blank: {message}"
        );
        assert!(!seen(std::slice::from_ref(message)).starts_with("/play") || message.contains('\u{200b}'));
        assert_eq!(sanitise::gate(message), *message, "the gate changes it again");
        let mut open = Vec::new();
        for tag in message.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("a tag that ends");
            let name = tag.trim_start_matches('/').split(' ').next().unwrap();
            assert!(sanitise::SHOWN.contains(&name), "{name} is not shown");
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "unbalanced: {message}");
            } else if !matches!(name, "br" | "hr") {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "not closed: {open:?}");
    }
}

// === markdown ===

#[test]
fn a_tag_in_prose_takes_nothing_with_it() {
    for name in ["title", "script", "style", "iframe"] {
        let shown = markdown(&format!("Put it inside the <{name}> tag.\n\nThen reload."));
        assert_eq!(shown, format!("<p>Put it inside the &lt;{name}&gt; tag.</p><p>Then reload.</p>"));
        let shown = markdown(&format!("<{name}>\n\nThen reload."));
        assert!(shown.contains("Then reload."), "{shown}");
    }
    assert_eq!(markdown("<script>\nalert(1)\n</script>\n\nafter"), "<p>after</p>");
}

#[test]
fn white_space_around_empty_code_is_one_space() {
    assert_eq!(html("a <code></code> b"), "a b");
}

#[test]
fn markdown_becomes_what_campfire_shows() {
    let cases = [
        (
            "**b** _i_ `c  d` ~~gone~~",
            "<p><strong>b</strong> <em>i</em> <code>c  d</code> <del>gone</del></p>",
        ),
        ("one\ntwo", "<p>one<br>two</p>"),
        ("# Title\n\ntext", "<h1>Title</h1><p>text</p>"),
        ("- a\n- b\n  1. c", "<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>"),
        ("- [x] done\n- [ ] open", "<ul><li>☑ done</li><li>☐ open</li></ul>"),
        ("```rust\nlet a = 1 < 2;\n\n    b\n```", "<pre><code>let a = 1 &lt; 2;\n\n    b</code></pre>"),
        ("[text](https://a.example/?b=1&c=2)", "<p><a href=\"https://a.example/?b=1&amp;c=2\">text</a></p>"),
        ("[text](javascript:alert(1))", "<p>text</p>"),
        ("[text](src/main.rs)", "<p>text</p>"),
        ("https://a.example/x_y_z", "<p>https://a.example/x_y_z</p>"),
        ("![a cat](https://a.example/cat.png)", "<p><a href=\"https://a.example/cat.png\">a cat</a></p>"),
        (
            "![](https://a.example/cat.png?v=1)",
            "<p><a href=\"https://a.example/cat.png?v=1\">cat.png</a></p>",
        ),
        (
            "[![logo](https://a.example/l.png)](https://a.example)",
            "<p><a href=\"https://a.example\">logo</a></p>",
        ),
        ("![x](data:image/png;base64,AAAA)", "<p>x</p>"),
        ("> quote\n> more", "<blockquote><p>quote<br>more</p></blockquote>"),
        ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
        ("5. five\n6. six", "<div><div>5. five</div><div>6. six</div></div>"),
        ("Vec<String> and <your-name>", "<p>Vec&lt;String&gt; and &lt;your-name&gt;</p>"),
        (
            "H<sub>2</sub>O <u>under</u> <kbd>Ctrl</kbd>",
            "<p>H<sub>2</sub>O <ins>under</ins> <kbd>Ctrl</kbd></p>",
        ),
        (
            "<details><summary>More</summary>\n\nhidden\n\n</details>",
            "<div><div>More</div><p>hidden</p></div>",
        ),
        ("a <script>alert(1)</script> b", "<p>a &lt;script&gt;alert(1)&lt;/script&gt; b</p>"),
    ];
    for (text, expected) in cases {
        assert_eq!(markdown(text), expected, "{text}");
    }
}

#[test]
fn a_table_becomes_aligned_text() {
    let text = "| Name | Qty |\n|:--|--:|\n| **Äpfel** | 3 |\n| [Kiwi](https://a.example) | 12 |";
    assert_eq!(markdown(text), "<pre>Name  | Qty\n------+----\nÄpfel |   3\nKiwi  |  12</pre>");
}

// === HTML ===

#[test]
fn html_keeps_the_text_of_what_is_not_shown() {
    let cases = [
        ("<section><h2>T</h2><font color=red>red</font></section>", "<div><h2>T</h2>red</div>"),
        (
            "<p class=x onclick=y style='color:red'>a<s>b</s><strike>c</strike>",
            "<p>a<del>b</del><del>c</del></p>",
        ),
        ("<a href='JaVaScRiPt:alert(1)' onmouseover=x>a</a>", "a"),
        ("<a href=\"java\nscript:alert(1)\">a</a>", "a"),
        ("<svg><script>alert(1)</script><text>t</text></svg>", "t"),
        ("<style>b{}</style><title>t</title>x<!-- c -->", "x"),
        ("<p>one<p>two<ul><li>a<li>b</ul>", "<p>one</p><p>two</p><ul><li>a</li><li>b</li></ul>"),
        ("<b>a<p>b</b>c", "<b>a<p>b</p></b>c"),
        ("a &lt;b&gt; &amp;amp; &#128512;", "a &lt;b&gt; &amp;amp; 😀"),
        ("  a \n b  ", "a b"),
        ("<pre>\n  a\n\tb\n</pre>", "<pre>  a\n\tb</pre>"),
        ("<unknown>a</unknown>", "a"),
        ("<p></p><b> </b><div><br></div>", ""),
        ("a<script>unclosed", "a"),
    ];
    for (text, expected) in cases {
        assert_eq!(html(text), expected, "{text}");
    }
}

#[test]
fn a_mention_survives_and_nothing_that_only_looks_like_an_attachment() {
    let recording: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/fixtures/campfire/payload-mention.json"))
            .unwrap();
    let stored = recording["body_json"]["message"]["body"]["html"].as_str().unwrap();
    let shown = html(stored);
    assert!(shown.contains("<action-text-attachment sgid=\"eyJfcmFpbHMi"), "{shown}");
    assert!(
        shown.contains(" content-type=\"application/vnd.campfire.mention\" content=\"&lt;span class="),
        "{shown}"
    );
    assert!(shown.ends_with(
        "</action-text-attachment> please <strong>deploy</strong> &lt;prod&gt; 🚀<br>line two</div>"
    ));
    assert_sound(&messages(Format::Html, stored));
    let fake =
        "<action-text-attachment sgid=a content-type=text/html content='<b>x</b>'></action-text-attachment>a";
    assert_eq!(html(fake), "a");
    assert_eq!(messages(Format::Html, &stored[..stored.find(" please").unwrap()]).len(), 1);
}

// === plain text ===

#[test]
fn plain_text_is_shown_as_it_is() {
    let shown = messages(Format::Text, "a <b> & c\r\n  indented\tx\n\n**not bold**");
    let expected = "a &lt;b&gt; &amp; c<br>&nbsp;&nbsp;indented&nbsp;&nbsp;&nbsp;&nbsp;x<br><br>**not bold**";
    assert_eq!(shown, [expected]);
}

#[test]
fn what_shows_nothing_is_no_message() {
    for blank in ["", " \n\t", "\0", "\u{a0}\u{200b}\u{feff}", "&nbsp;", "<br>", "<p> </p>", "---"] {
        assert_eq!(messages(Format::Html, blank).is_empty(), blank != "---");
        assert_eq!(messages(Format::Markdown, blank), [""; 0], "{blank:?}");
    }
    assert!(messages(Format::Text, " \r\n\u{2003}\u{200b}").is_empty());
}

// === sounds ===

#[test]
fn no_text_plays_a_sound() {
    let plain = ["/play tada", " \n/play tada", "\u{200b}/play tada", "/play\u{a0}tada"];
    let formats = [Format::Markdown, Format::Html, Format::Text];
    let in_any = plain.into_iter().flat_map(|text| formats.map(|format| (format, text)));
    let in_one = [
        (Format::Markdown, "/pl**ay** tada"),
        (Format::Markdown, "`/play` tada"),
        (Format::Html, "<p>/pl<b>ay</b> tada"),
    ];
    for (format, text) in in_any.chain(in_one) {
        let shown = messages(format, text);
        assert_sound(&shown);
        assert_eq!(shown.len(), 1);
        assert!(shown[0].contains('\u{200b}'), "{shown:?}");
    }
    assert_eq!(messages(Format::Text, "say /play tada"), ["say /play tada"]);
}

#[test]
fn a_sound_has_a_plain_name() {
    assert_eq!(sound("tada").as_deref(), Some("/play tada"));
    assert_eq!(sound("56k").as_deref(), Some("/play 56k"));
    for name in ["", "Tada", "ta da", "ta\nda", "tadä", &"a".repeat(33)] {
        assert_eq!(sound(name), None, "{name}");
    }
}

// === long replies ===

#[test]
fn a_long_reply_is_cut_between_its_paragraphs() {
    let paragraph = |n: usize| format!("Paragraph {n} {}", "word ".repeat(1200));
    let text = (0..6).map(paragraph).collect::<Vec<_>>().join("\n\n");
    let shown = messages(Format::Markdown, &text);
    assert_sound(&shown);
    assert_eq!(shown.len(), 3);
    assert!(
        shown.iter().all(|message| message.starts_with("<p>Paragraph ") && message.ends_with("word</p>"))
    );
}

#[test]
fn a_heading_stays_with_what_it_heads() {
    let text = format!("{}\n\n## Head\n\n{}", "word ".repeat(3000), "next ".repeat(1000));
    let shown = messages(Format::Markdown, &text);
    assert_sound(&shown);
    assert!(shown[0].ends_with("word</p>") && shown[1].starts_with("<h2>Head</h2><p>next"));
}

#[test]
fn long_code_is_cut_between_lines() {
    let lines: Vec<String> = (0..2000).map(|n| format!("    line {n} <&>")).collect();
    let shown = messages(Format::Markdown, &format!("Here:\n\n```\n{}\n```\n\nDone.", lines.join("\n")));
    assert_sound(&shown);
    assert!(shown.len() > 2);
    let mut seen_lines = Vec::new();
    for message in &shown {
        let code = message.split_once("<pre><code>").unwrap().1.split_once("</code></pre>").unwrap().0;
        seen_lines.extend(code.lines().map(str::to_owned));
    }
    let expected: Vec<String> = lines.iter().map(|line| line.replace("<&>", "&lt;&amp;&gt;")).collect();
    assert_eq!(seen_lines, expected);
}

#[test]
fn a_long_list_is_cut_between_items_and_goes_on_counting() {
    let text = (1..=800).map(|n| format!("{n}. Item {n} is about something.\n")).collect::<Vec<_>>().concat();
    let shown = messages(Format::Markdown, &text);
    assert_sound(&shown);
    assert!(shown.len() > 1);
    for message in &shown {
        assert!(message.starts_with("<div><div>") && message.ends_with(" is about something.</div></div>"));
    }
    assert!(
        (1..=800).all(|n| shown.iter().any(|message| message.contains(&format!("<div>{n}. Item {n} is"))))
    );
}

#[test]
fn a_long_paragraph_is_cut_at_lines_then_sentences_then_words_then_characters() {
    let ends = |text: &str, end: &str| {
        let shown = messages(Format::Markdown, text);
        assert_sound(&shown);
        assert!(shown.len() > 1);
        assert!(shown[..shown.len() - 1].iter().all(|message| message.ends_with(end)), "{end}");
        assert_eq!(seen(&shown), without_blanks(text));
    };
    ends(&"A sentence. Another one\n".repeat(1000), "one</p>");
    ends(&"A sentence here. ".repeat(2000), "here.</p>");
    ends(&"word ".repeat(5000), "word</p>");
    ends(&"👩‍👩‍👧".repeat(2000), "👩‍👩‍👧</p>");
    ends(&"日本語。".repeat(3000), "。</p>");
}

#[test]
fn markup_around_a_cut_is_closed_and_opened_again() {
    let text = format!("> **{}**", "word ".repeat(5000).trim());
    let shown = messages(Format::Markdown, &text);
    assert_sound(&shown);
    assert!(shown.len() > 1);
    for message in &shown {
        assert!(message.starts_with("<blockquote><p><strong>word "), "{}", &message[..60]);
        assert!(message.ends_with("</strong></p></blockquote>"));
    }
}

// === hostile input ===

/// Any of these takes a second or two in an unoptimised build; the bound tells linear from quadratic time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long this thread has computed, which is the same however busy the machine is. Where the system doesn't tell, how
/// long it is since `begun`.
fn computed(begun: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| begun.elapsed(), Duration::from_nanos)
}

fn assert_soon_and_sound(format: Format, text: &str) {
    let begun = Instant::now();
    let before = computed(begun);
    let shown = messages(format, text);
    let took = computed(begun).saturating_sub(before);
    assert!(took < PATIENCE, "{:?} took {took:?}", text.chars().take(20).collect::<String>());
    assert_sound(&shown[..shown.len().min(2)]);
    assert_sound(&shown[shown.len().saturating_sub(2)..]);
}

#[test]
fn hostile_markup_is_answered_soon_and_soundly() {
    let many = |unit: &str| unit.repeat(64 * 1024 / unit.len());
    let attributes = (0..15_000).map(|n| format!(" a{n}")).collect::<Vec<_>>().concat();
    let formatting = (0..4_000).map(|n| format!("<b id={n}>")).collect::<Vec<_>>().concat();
    let units = [
        "[",
        "*",
        ">",
        "> ",
        "- ",
        "*a_ ",
        "![a](",
        "<",
        "<b>",
        "<div>",
        "<a href=https://a.example>",
        "</p>",
        "<table><tr><td>",
        "&",
        "&amp;",
        "`",
        "<!--",
        "<li>",
        "|a",
        "\u{202e}א",
        "e\u{301}\u{301}",
        "\u{301}",
        "1. ",
        "<p>",
        "\n",
        "<pre>\n",
        "<script>",
    ];
    let others = [
        format!("|a|b|\n|-|-|\n{}", "|a|b\n".repeat(10_000)),
        format!("{}x{}", "<div>".repeat(5_000), "</div>".repeat(5_000)),
        format!("<a{attributes}>x"),
        format!("{formatting}{}", "<p>x".repeat(4_000)),
        format!("<a href=\"https://a.example/{}\">long</a>", "&".repeat(3_000)),
        format!("<a href=\"https://a.example/{}\">{}</a>", "&".repeat(300), "word ".repeat(10_000)),
    ];
    for text in units.map(many).iter().chain(&others) {
        assert_soon_and_sound(Format::Markdown, text);
        assert_soon_and_sound(Format::Html, text);
    }
}

#[test]
fn a_megabyte_is_answered_soon_and_soundly() {
    for unit in ["a", "a\n", "\0"] {
        assert_soon_and_sound(Format::Text, &unit.repeat(1_000_000 / unit.len()));
    }
    for unit in ["[", "*", ">", "a"] {
        assert_soon_and_sound(Format::Markdown, &unit.repeat(MARKUP_LIMIT));
        assert_soon_and_sound(Format::Markdown, &unit.repeat(1_000_000));
    }
}

#[test]
fn a_long_comment_is_no_text() {
    let text = format!("<!-- {} --><b>kept</b>", "comment > ".repeat(5_000));
    assert_eq!(html(&text), "<b>kept</b>");
}

#[test]
fn what_is_too_deep_keeps_its_text_and_closes_nothing_else() {
    let text = format!("{}deep{}after", "<blockquote>".repeat(100), "</blockquote>".repeat(100));
    let shown = html(&text);
    assert!(shown.ends_with("</blockquote>after"), "{shown}");
    assert_eq!(shown.matches("<blockquote>").count(), parse::MAX_DEPTH);
}

// === properties ===

/// Pieces of markup in no order: more hostile than random characters.
fn soup() -> impl Strategy<Value = String> {
    const SCRAPS: &[&str] = &[
        "<p>",
        "</p>",
        "<div>",
        "</div>",
        "<b>",
        "</b>",
        "<a href=https://a.example>",
        "</a>",
        "<ul>",
        "<ol start=3>",
        "<li>",
        "</ul>",
        "<table>",
        "<tr>",
        "<td>",
        "<th>",
        "</td>",
        "</table>",
        "<pre>",
        "</pre>",
        "<code>",
        "</code>",
        "<br>",
        "<hr>",
        "<h1>",
        "</h1>",
        "<h2>",
        "<dl>",
        "<dt>",
        "<dd>",
        "<blockquote>",
        "</blockquote>",
        "<script>",
        "</script>",
        "<img src=https://a.example/i alt=i>",
        "<svg>",
        "<title>",
        "<button>",
        "<!--",
        "-->",
        "\n",
        "\n\n",
        " ",
        "- ",
        "1. ",
        "> ",
        "# ",
        "```\n",
        "`",
        "**",
        "_",
        "~~",
        "[x](",
        ")",
        "|",
        "|-|\n",
        "    ",
        "&amp;",
        "&lt",
        "<",
        ">",
        "/play ",
        "word",
        "Ünï",
        "👩‍👩‍👧",
        "\u{202e}",
        "\0",
        "<input type=checkbox>",
        "<caption>",
        "</li>",
        "<i>",
        "</i>",
        "<details>",
        "<summary>",
        "<u>",
        "\u{a0}",
        "<figure>",
        "<address>",
        "<action-text-attachment sgid=a content-type=application/vnd.campfire.mention>",
        "<tbody>",
        "</tr>",
    ];
    prop::collection::vec(prop::sample::select(SCRAPS), 0..60).prop_map(|scraps| scraps.concat())
}

fn any_format() -> impl Strategy<Value = Format> {
    prop::sample::select(&[Format::Markdown, Format::Html, Format::Text][..])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_soup_becomes_sound_messages(text in soup(), format in any_format()) {
        assert_sound(&messages(format, &text));
    }

    #[test]
    fn any_text_becomes_sound_messages(text in any::<String>(), format in any_format()) {
        assert_sound(&messages(format, &text));
    }

    #[test]
    fn what_is_shown_once_is_shown_again_as_it_is(text in soup()) {
        let once = messages(Format::Html, &text);
        let twice: Vec<String> = once.iter().flat_map(|message| messages(Format::Html, message)).collect();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn small_messages_hold_what_one_large_one_holds(text in soup(), limit in 2_500..4_000_usize) {
        let tree = reshape::reshape(parse::parse(&text.repeat(20)), usize::MAX);
        let whole = split::split(&tree, usize::MAX);
        let parts = split::split(&tree, limit);
        prop_assert!(parts.iter().all(|part| part.len() <= limit));
        // The mark before a would-be sound may stand in more places.
        prop_assert_eq!(seen(&parts), seen(&whole));
    }

    #[test]
    fn plain_text_loses_nothing(text in any::<String>(), times in 1..200_usize) {
        let text = text.repeat(times);
        prop_assert_eq!(seen(&messages(Format::Text, &text)), without_blanks(&text));
    }
}
