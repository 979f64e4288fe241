//! What the stand-in says: a function of the request's body.

use std::{fmt::Write as _, time::Duration};

use axum::http::StatusCode;
use serde_json::{Value, json};

/// Enough for a stream of several pieces.
const PIECE: usize = 40;
/// `SLOW=` waits no longer than the CLI itself would.
const SLOWEST: Duration = Duration::from_mins(10);

/// What becomes of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// A message of the assistant.
    Message(Value),
    /// The status and the API's name of the error.
    Failure(StatusCode, &'static str),
    /// The message's stream, cut in the middle.
    Half(Value),
    /// Nothing, ever.
    Never,
    /// Another answer, later.
    After(Duration, Box<Answer>),
}

/// Decides by the words of the last user text.
pub(super) fn to(request: &Value) -> Answer {
    let texts = user_texts(request);
    let (last, earlier) =
        texts.split_last().map_or(("", &[][..]), |(last, earlier)| (last.as_str(), earlier));
    let results = tool_results(request);
    if !results.is_empty() {
        return Answer::Message(match tool_calls(request, last, results.len()) {
            calls if calls.is_empty() => message(request, &[text_block(&results.concat().join("; "))]),
            calls => message(request, &calls),
        });
    }
    let usual = || Answer::Message(message(request, &[text_block(&said(request, last, earlier))]));

    for word in last.split_whitespace() {
        match word {
            "HTTP400" => return Answer::Failure(StatusCode::BAD_REQUEST, "invalid_request_error"),
            "HTTP401" => return Answer::Failure(StatusCode::UNAUTHORIZED, "authentication_error"),
            "HTTP413" => return Answer::Failure(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
            "HTTP429" => return Answer::Failure(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error"),
            "HTTP500" => return Answer::Failure(StatusCode::INTERNAL_SERVER_ERROR, "api_error"),
            "HTTP529" => return Answer::Failure(overloaded(), "overloaded_error"),
            "HANG" => return Answer::Never,
            "CLOSE" => {
                return Answer::Half(message(request, &[text_block(&said(request, last, earlier))]));
            }
            _ => {}
        }
        if let Some(pause) = word.strip_prefix("SLOW=").and_then(|number| number.parse().ok()) {
            return Answer::After(Duration::from_millis(pause).min(SLOWEST), Box::new(usual()));
        }
    }
    match tool_calls(request, last, 0) {
        calls if calls.is_empty() => usual(),
        calls => Answer::Message(message(request, &[vec![text_block("Calling a tool.")], calls].concat())),
    }
}

/// The text of a `content` or `system` value: a string, or a list whose text blocks are joined by line ends.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<_> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// What the user said, oldest first. A block each: the CLI joins a turn that failed and the next one to one message, and
/// ends the former with a line end.
pub(super) fn user_texts(request: &Value) -> Vec<String> {
    let said = messages(request).iter().filter(|message| message["role"] == "user");
    said.flat_map(|message| match &message["content"] {
        Value::Array(blocks) => blocks.iter().map(|block| text_of(&block["text"])).collect(),
        content => vec![text_of(content)],
    })
    .map(|text| text.trim_end().to_owned())
    .filter(|text| !text.is_empty())
    .collect()
}

/// The message as server-sent events, its text in pieces of at most 40 characters.
pub(super) fn as_events(message: &Value) -> String {
    let mut events = String::new();
    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    event(&mut events, &json!({ "type": "message_start", "message": start }));
    for (index, block) in message["content"].as_array().into_iter().flatten().enumerate() {
        let (empty, deltas) = opened(block);
        event(&mut events, &json!({ "type": "content_block_start", "index": index, "content_block": empty }));
        for delta in deltas {
            event(&mut events, &json!({ "type": "content_block_delta", "index": index, "delta": delta }));
        }
        event(&mut events, &json!({ "type": "content_block_stop", "index": index }));
    }
    event(
        &mut events,
        &json!({
            "type": "message_delta",
            "delta": { "stop_reason": message["stop_reason"], "stop_sequence": null },
            "usage": { "output_tokens": message["usage"]["output_tokens"] },
        }),
    );
    event(&mut events, &json!({ "type": "message_stop" }));
    events
}

/// A block as the stream opens it, and the deltas that fill it.
fn opened(block: &Value) -> (Value, Vec<Value>) {
    if block["type"] == "tool_use" {
        let mut empty = block.clone();
        empty["input"] = json!({});
        return (
            empty,
            vec![json!({ "type": "input_json_delta", "partial_json": block["input"].to_string() })],
        );
    }
    let characters: Vec<char> = block["text"].as_str().unwrap_or_default().chars().collect();
    let deltas = characters
        .chunks(PIECE)
        .map(|piece| json!({ "type": "text_delta", "text": piece.iter().collect::<String>() }))
        .collect();
    (text_block(""), deltas)
}

fn event(events: &mut String, event: &Value) {
    let name = event["type"].as_str().unwrap_or_default();
    write!(events, "event: {name}\ndata: {event}\n\n").expect("a String takes what is written");
}

fn said(request: &Value, last: &str, earlier: &[String]) -> String {
    if last.split_whitespace().any(|word| word == "RECALL") {
        return format!("earlier={}", json!(earlier));
    }
    // Since 2.1.330 the CLI adds a message of role `system` about the machine; the conversation's length is without it.
    let count = messages(request).iter().filter(|message| message["role"] != "system").count();
    format!("n={count} last={}", json!(last))
}

fn messages(request: &Value) -> &[Value] {
    request["messages"].as_array().map_or(&[], Vec::as_slice)
}

/// What was quoted of the tools' results since the last user text, by the rounds of calls that they answer.
fn tool_results(request: &Value) -> Vec<Vec<String>> {
    let said = messages(request).iter().filter(|message| message["role"] == "user");
    let blocks = |message: &Value| message["content"].as_array().cloned().unwrap_or_default();
    let mut rounds: Vec<Vec<String>> = said
        .rev()
        .map(blocks)
        // After a turn that ended with a tool's result, the next one's text stands behind it in the same message.
        .take_while(|blocks| blocks.last().is_some_and(|block| block["type"] == "tool_result"))
        .map(|blocks| blocks.iter().filter(|block| block["type"] == "tool_result").map(quoted).collect())
        .collect();
    rounds.reverse();
    rounds
}

fn quoted(result: &Value) -> String {
    let verb = if result["is_error"] == json!(true) { "failed" } else { "said" };
    format!("tool {verb} {}", json!(text_of(&result["content"])))
}

/// The calls of a round, the first of which is 0.
fn tool_calls(request: &Value, text: &str, round: usize) -> Vec<Value> {
    let Some(asked) = text.split(" THEN ").nth(round) else { return Vec::new() };
    let calls = asked.split("TOOL:").skip(1).filter_map(|call| {
        let (name, input) = call.split_once(':')?;
        let input = serde_json::Deserializer::from_str(input).into_iter::<Value>().next()?.ok()?;
        Some((name, input))
    });
    // The CLI keeps calls apart by their ids, over all of a conversation.
    (0..)
        .zip(calls)
        .map(|(index, (name, input))| {
            let id = format!("toolu_{:04}_{index}", messages(request).len());
            json!({ "type": "tool_use", "id": id, "name": name, "input": input })
        })
        .collect()
}

fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn message(request: &Value, content: &[Value]) -> Value {
    let length = |value: &Value| value.to_string().len() / 4;
    let calls_tool = content.iter().any(|block| block["type"] == "tool_use");
    json!({
        "id": format!("msg_{:04}", messages(request).len()),
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": content,
        "stop_reason": if calls_tool { "tool_use" } else { "end_turn" },
        "stop_sequence": null,
        "usage": {
            "input_tokens": length(&request["messages"]) + length(&request["system"]),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": content.iter().map(length).sum::<usize>(),
        },
    })
}

fn overloaded() -> StatusCode {
    StatusCode::from_u16(529).expect("529 is a status code")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(texts: &[&str]) -> Value {
        let messages: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| {
                json!({ "role": if index % 2 == 0 { "user" } else { "assistant" }, "content": text })
            })
            .collect();
        json!({ "model": "any", "messages": messages })
    }

    fn text(answer: &Answer) -> &str {
        match answer {
            Answer::Message(message) => message["content"][0]["text"].as_str().unwrap(),
            other => panic!("not a message: {other:?}"),
        }
    }

    #[test]
    fn the_usual_answer_counts_the_messages_and_quotes_the_last() {
        assert_eq!(text(&to(&conversation(&["one", "a", "two \"2\""]))), r#"n=3 last="two \"2\"""#);
    }

    #[test]
    fn the_message_about_the_machine_is_not_counted() {
        let mut request = conversation(&["one"]);
        request["messages"].as_array_mut().unwrap().push(json!({ "role": "system", "content": "machine" }));
        assert_eq!(text(&to(&request)), r#"n=1 last="one""#);
    }

    #[test]
    fn of_a_failed_turn_and_the_next_in_one_message_only_the_next_counts() {
        let texts = [text_block("HTTP400\n"), text_block("next RECALL")];
        let joined = json!({ "messages": [{ "role": "user", "content": texts }] });
        assert_eq!(text(&to(&joined)), r#"earlier=["HTTP400"]"#);
        let after_tool = json!({ "messages": [{ "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "t", "content": "done" }, text_block("next"),
        ] }] });
        assert_eq!(text(&to(&after_tool)), r#"n=1 last="next""#);
    }

    #[test]
    fn recall_lists_what_the_user_said_before() {
        assert_eq!(text(&to(&conversation(&["one", "a", "two", "b", "RECALL"]))), r#"earlier=["one","two"]"#);
    }

    #[test]
    fn a_keyword_inside_a_longer_word_is_text() {
        assert!(matches!(to(&conversation(&["CHANGING HTTP4290"])), Answer::Message(_)));
    }

    #[test]
    fn each_failure_has_its_status_and_name() {
        for (word, status, kind) in [
            ("HTTP400", 400, "invalid_request_error"),
            ("HTTP401", 401, "authentication_error"),
            ("HTTP413", 413, "request_too_large"),
            ("HTTP429", 429, "rate_limit_error"),
            ("HTTP500", 500, "api_error"),
            ("HTTP529", 529, "overloaded_error"),
        ] {
            let answer = to(&conversation(&[&format!("please {word} now")]));
            assert_eq!(answer, Answer::Failure(StatusCode::from_u16(status).unwrap(), kind));
        }
    }

    #[test]
    fn a_tool_is_called_with_the_json_that_follows_and_its_result_is_quoted() {
        let Answer::Message(call) = to(&conversation(&["TOOL:mcp__host__post:{\"text\": \"a b\"} please"]))
        else {
            panic!("a message");
        };
        assert_eq!(call["content"][1]["name"], "mcp__host__post");
        assert_eq!(call["content"][1]["input"], json!({ "text": "a b" }));
        assert_eq!(call["stop_reason"], "tool_use");

        let result = json!({ "messages": [{ "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "toolu_0001", "content": [{ "type": "text", "text": "done" }] },
        ] }] });
        assert_eq!(text(&to(&result)), r#"tool said "done""#);
    }

    #[test]
    fn tools_are_called_side_by_side_and_round_by_round() {
        let asked = json!({ "role": "user", "content": "TOOL:a:{} and TOOL:b:{\"x\":1} THEN TOOL:c:{}" });
        let Answer::Message(first) = to(&json!({ "messages": [asked] })) else { panic!("a message") };
        let names = |message: &Value| -> Vec<String> {
            let blocks = message["content"].as_array().unwrap().iter();
            blocks.filter_map(|block| block["name"].as_str().map(str::to_owned)).collect()
        };
        assert_eq!(names(&first), ["a", "b"]);
        assert_ne!(first["content"][1]["id"], first["content"][2]["id"]);

        let result =
            |text: &str, is_error| json!({ "type": "tool_result", "content": text, "is_error": is_error });
        let results = json!({ "role": "user", "content": [result("one", false), result("two", true)] });
        let Answer::Message(second) = to(&json!({ "messages": [asked, first, results] })) else {
            panic!("a message");
        };
        assert_eq!(names(&second), ["c"]);
        let last = json!({ "role": "user", "content": [result("three", false)] });
        let ended = to(&json!({ "messages": [asked, first, results, second, last] }));
        assert_eq!(text(&ended), r#"tool said "one"; tool failed "two"; tool said "three""#);
    }

    #[test]
    fn the_stream_carries_the_whole_text_in_pieces() {
        let long = "é".repeat(100);
        let events = as_events(&message(&json!({}), &[text_block(&long)]));
        let pieces: Vec<String> = events
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces.concat(), long);
    }
}
