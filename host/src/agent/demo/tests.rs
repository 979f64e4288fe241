use std::{
    collections::VecDeque,
    io::Cursor,
    path::Path,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

mod faults;
mod shapes;
mod tools;

const STREAMS: [&str; 6] =
    ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"];

/// What a run left on its outputs.
pub(super) struct Ran {
    pub(super) code: u8,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl Ran {
    /// The lines that are JSON objects.
    pub(super) fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.split(|byte| *byte == b'\n');
        lines.filter_map(|line| serde_json::from_slice(line).ok()).filter(Value::is_object).collect()
    }

    pub(super) fn of_type(&self, kind: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["type"] == kind).collect()
    }

    pub(super) fn types(&self) -> Vec<String> {
        let name =
            |line: &Value| line["state"].as_str().or(line["type"].as_str()).unwrap_or_default().to_owned();
        self.lines().iter().map(name).collect()
    }

    /// The last result's text.
    pub(super) fn said(&self) -> String {
        self.of_type("result")
            .last()
            .and_then(|line| line["result"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    fn session(&self) -> String {
        self.of_type("result")[0]["session_id"].as_str().unwrap().to_owned()
    }
}

pub(super) fn user(text: &str) -> String {
    format!("{}\n", json!({ "type": "user", "message": { "role": "user", "content": text } }))
}

fn keyed(text: &str, key: &str) -> String {
    format!("{}\n", json!({ "type": "user", "message": { "role": "user", "content": text }, "uuid": key }))
}

pub(super) fn environment(config_dir: &Path) -> Environment {
    Environment {
        config_dir: Some(config_dir.to_owned()),
        working_dir: "/srv/agent/work".into(),
        longest_wait: Duration::from_millis(50),
    }
}

pub(super) fn run_with(
    environment: &Environment,
    more: &[&str],
    stdin: impl BufRead + Send + 'static,
) -> Ran {
    let arguments: Vec<String> = STREAMS.iter().chain(more).map(ToString::to_string).collect();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = run(&arguments, environment, stdin, &mut stdout, &mut stderr);
    Ran { code, stdout, stderr: String::from_utf8(stderr).unwrap() }
}

fn run_in(config_dir: &TempDir, more: &[&str], input: String) -> Ran {
    run_with(&environment(config_dir.path()), more, Cursor::new(input))
}

/// One message in a new conversation.
pub(super) fn ask(text: &str) -> Ran {
    run_in(&tempfile::tempdir().unwrap(), &[], user(text))
}

/// Input that comes when the test says so.
struct Piped {
    lines: Receiver<String>,
    rest: VecDeque<u8>,
}

impl io::Read for Piped {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest.extend(self.lines.recv().unwrap_or_default().bytes());
        }
        self.rest.read(into)
    }
}

/// Output that shows the test each line as it is written.
struct Shown(SyncSender<String>, Vec<u8>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.extend(bytes);
        while let Some(end) = self.1.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.1.drain(..=end).collect();
            self.0.send(String::from_utf8(line).unwrap()).map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A process that is talked with while it runs.
struct Talk {
    to_agent: SyncSender<String>,
    from_agent: Receiver<String>,
    running: thread::JoinHandle<u8>,
    _config_dir: TempDir,
}

impl Talk {
    fn begin(more: &[&str]) -> Self {
        let config_dir = tempfile::tempdir().unwrap();
        let patient = Environment { longest_wait: LONGEST_WAIT, ..environment(config_dir.path()) };
        let (to_agent, lines) = mpsc::sync_channel(8);
        let (shown, from_agent) = mpsc::sync_channel(64);
        let arguments: Vec<String> = STREAMS.iter().chain(more).map(ToString::to_string).collect();
        let running = thread::spawn(move || {
            let stdin = io::BufReader::new(Piped { lines, rest: VecDeque::new() });
            run(&arguments, &patient, stdin, Shown(shown, Vec::new()), io::sink())
        });
        Self { to_agent, from_agent, running, _config_dir: config_dir }
    }

    fn say(&self, lines: String) {
        self.to_agent.send(lines).unwrap();
    }

    fn next(&self) -> Value {
        let line = self.from_agent.recv_timeout(Duration::from_secs(30)).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn until(&self, kind: &str) -> Value {
        std::iter::repeat_with(|| self.next()).find(|line| line["type"] == kind).unwrap()
    }

    fn end(self) -> u8 {
        drop(self.to_agent);
        self.running.join().unwrap()
    }
}

#[test]
fn every_message_is_a_turn_of_its_own_until_the_input_ends() {
    let ran = run_in(&tempfile::tempdir().unwrap(), &[], user("hello") + &user("again"));
    assert_eq!(ran.code, 0);
    assert_eq!(ran.types(), ["system", "assistant", "result", "system", "assistant", "result"]);
    assert!(
        ran.said().contains("This is message 2 of our conversation; you first said “hello”."),
        "{}",
        ran.said()
    );
}

#[test]
fn nothing_in_means_nothing_out() {
    let ran = run_in(&tempfile::tempdir().unwrap(), &[], String::new());
    assert_eq!((ran.code, ran.stdout.len(), ran.stderr.len()), (0, 0, 0));
}

#[test]
fn a_resumed_process_remembers_the_conversation_under_the_same_id() {
    let config_dir = tempfile::tempdir().unwrap();
    let first = run_in(&config_dir, &[], user("Ann in All Talk: my name is Ann"));
    let resume = format!("--resume={}", first.session());
    let second = run_in(&config_dir, &[&resume], user("Ann in All Talk: what is my name?"));
    assert_eq!(second.said(), "(demo agent) Your name is Ann: you told me in this conversation.");
    assert_eq!(second.session(), first.session());
}

#[test]
fn usage_adds_up_over_a_conversation_and_is_told_for_each_turn() {
    let config_dir = tempfile::tempdir().unwrap();
    let first = run_in(&config_dir, &[], user("hello"));
    let second = run_in(&config_dir, &["--resume", &first.session()], user("hello again"));
    let tokens =
        |ran: &Ran, usage: &str| ran.of_type("result")[0][usage]["demo"]["inputTokens"].as_u64().unwrap();
    assert_eq!(tokens(&first, "modelUsage"), tokens(&first, "model_usage_since_last_result"));
    assert_eq!(
        tokens(&second, "modelUsage"),
        tokens(&first, "modelUsage") + tokens(&second, "model_usage_since_last_result")
    );
}

#[test]
fn an_unknown_session_is_one_result_a_line_on_stderr_and_code_1() {
    let session = "79ab9322-00e1-4015-8655-a233b297afbc";
    let ran = run_in(&tempfile::tempdir().unwrap(), &["--resume", session], user("x"));
    let why = format!("No conversation found with session ID: {session}");
    assert_eq!((ran.code, ran.types()), (1, vec!["result".to_owned()]));
    assert_eq!(ran.lines()[0]["subtype"], "error_during_execution");
    assert_eq!(ran.lines()[0]["errors"], json!([why]));
    assert_eq!(ran.stderr, format!("{why}\n"));
}

#[test]
fn a_session_id_is_used_once() {
    let config_dir = tempfile::tempdir().unwrap();
    let session = "67e8e5cd-d197-4b12-b76f-aa14e85f8018";
    assert_eq!(run_in(&config_dir, &["--session-id", session], user("x")).session(), session);
    let again = run_in(&config_dir, &["--session-id", session], user("x"));
    assert_eq!((again.code, again.stdout.len()), (1, 0));
    assert_eq!(again.stderr, format!("Error: Session ID {session} is already in use.\n"));
}

#[test]
fn a_message_that_was_answered_before_is_only_acknowledged_by_another_process_too() {
    let config_dir = tempfile::tempdir().unwrap();
    let first = run_in(&config_dir, &[], keyed("hello", "key-1"));
    assert_eq!(first.types(), ["queued", "started", "system", "assistant", "result", "completed"]);
    assert_eq!(first.of_type("result")[0]["user_message_uuid"], "key-1");
    let again = run_in(&config_dir, &["--resume", &first.session()], keyed("hello", "key-1"));
    assert_eq!((again.code, again.types()), (0, vec!["completed".to_owned()]));
}

#[test]
fn a_message_whose_process_died_is_answered_when_it_comes_again() {
    let config_dir = tempfile::tempdir().unwrap();
    let session = "67e8e5cd-d197-4b12-b76f-aa14e85f8018";
    run_in(&config_dir, &["--session-id", session], keyed("demo:die", "key-1"));
    let again = run_in(&config_dir, &["--resume", session], keyed("hello", "key-1"));
    assert!(again.said().contains("message 2 of our conversation"), "{}", again.said());
}

#[test]
fn a_message_whose_turn_failed_is_not_answered_when_it_comes_again() {
    for (keyword, state) in
        [("demo:rate-limit", "cancelled"), ("demo:budget", "cancelled"), ("demo:turn-limit", "completed")]
    {
        let config_dir = tempfile::tempdir().unwrap();
        let first = run_in(&config_dir, &[], keyed(keyword, "key-1"));
        assert_eq!(first.types().last().unwrap(), state);
        let again = run_in(&config_dir, &["--resume", &first.session()], keyed("hello", "key-1"));
        assert_eq!((again.code, again.types()), (0, vec!["completed".to_owned()]));
        let anew = run_in(&config_dir, &["--resume", &first.session()], keyed("hello", "key-2"));
        assert!(anew.said().contains("message 2 of our conversation"), "{}", anew.said());
    }
}

#[test]
fn the_first_system_prompt_stays_unless_the_host_says_otherwise() {
    let config_dir = tempfile::tempdir().unwrap();
    let first = run_in(&config_dir, &["--system-prompt", "One."], user("demo:prompt"));
    let resume = format!("--resume={}", first.session());
    let kept = run_in(&config_dir, &[&resume, "--system-prompt", "Two."], user("demo:prompt"));
    let fresh = [&resume, "--system-prompt", "Two.", "--system-prompt-snapshot", "off"]
        .map(|argument: &str| argument);
    let replaced = run_in(&config_dir, &fresh, user("demo:prompt"));
    assert!(first.said().contains("“One.”") && kept.said().contains("“One.”"), "{}", kept.said());
    assert!(replaced.said().contains("“Two.”"), "{}", replaced.said());
}

#[test]
fn without_a_config_folder_nothing_is_kept() {
    let nowhere = Environment { config_dir: None, ..environment(Path::new("/")) };
    let first = run_with(&nowhere, &[], Cursor::new(user("hello") + &user("again")));
    assert!(first.said().contains("message 2"));
    let resumed = run_with(&nowhere, &["--resume", &first.session()], Cursor::new(user("x")));
    assert_eq!(resumed.code, 1);
}

#[test]
fn an_unknown_flag_is_refused_on_stderr_alone() {
    let ran = run_in(&tempfile::tempdir().unwrap(), &["--no-such-flag"], user("x"));
    assert_eq!((ran.code, ran.stdout.len()), (1, 0));
    assert_eq!(ran.stderr, "error: unknown option '--no-such-flag'\n");
}

#[test]
fn input_that_is_no_json_ends_the_process() {
    let ran = run_in(&tempfile::tempdir().unwrap(), &[], "this is not json\n".into());
    assert_eq!((ran.code, ran.stdout.len()), (1, 0));
    assert_eq!(ran.stderr, "Error parsing streaming input line (type=unknown, 16 chars): SyntaxError\n");
}

#[test]
fn the_version_names_the_demo_agent() {
    let mut stdout = Vec::new();
    let code = run(&["--version".into()], &environment(Path::new("/")), io::empty(), &mut stdout, io::sink());
    assert_eq!(code, 0);
    assert_eq!(
        String::from_utf8(stdout).unwrap(),
        concat!(env!("CARGO_PKG_VERSION"), " (Hearth demo agent)\n")
    );
}

#[test]
fn a_prompt_among_the_arguments_is_the_only_message() {
    let config_dir = tempfile::tempdir().unwrap();
    let arguments = ["-p", "hello there", "--output-format=stream-json", "--verbose"].map(str::to_owned);
    let mut stdout = Vec::new();
    let code = run(&arguments, &environment(config_dir.path()), io::empty(), &mut stdout, io::sink());
    assert_eq!(code, 0);
    assert!(String::from_utf8(stdout).unwrap().contains("hello there"));
}

#[test]
fn control_requests_are_answered_without_a_turn() {
    let request = |subtype: &str| {
        let request =
            json!({ "type": "control_request", "request_id": subtype, "request": { "subtype": subtype } });
        format!("{request}\n")
    };
    let input = request("initialize") + &request("interrupt") + &request("nonsense");
    let ran = run_in(&tempfile::tempdir().unwrap(), &[], input);
    let answers: Vec<_> = ran.lines().iter().map(|line| line["response"].clone()).collect();
    assert_eq!(answers.len(), 3);
    assert_eq!(
        (&answers[0]["subtype"], &answers[0]["request_id"]),
        (&json!("success"), &json!("initialize"))
    );
    assert_eq!(answers[1]["response"], json!({ "still_queued": [] }));
    assert_eq!(
        (&answers[2]["subtype"], &answers[2]["error_code"]),
        (&json!("error"), &json!("unsupported_request"))
    );
}

#[test]
fn an_interrupt_ends_a_slow_turn_and_what_came_meanwhile_is_one_turn_after_it() {
    let talk = Talk::begin(&[]);
    let interrupt =
        json!({ "type": "control_request", "request_id": "i", "request": { "subtype": "interrupt" } });
    talk.say(user("demo:slow=600000"));
    talk.until("system");
    talk.say(user("two") + &user("three") + &format!("{interrupt}\n"));
    assert_eq!(talk.until("result")["terminal_reason"], "aborted_streaming");
    let next = talk.until("result");
    assert!(next["result"].as_str().unwrap().contains("“two three”"), "{next}");
    assert_eq!(talk.end(), 0);
}

#[test]
fn a_streamed_answer_adds_up_to_the_whole() {
    let ran = run_in(&tempfile::tempdir().unwrap(), &["--include-partial-messages"], user("help"));
    let events = ran.of_type("stream_event");
    let pieces: String = events.iter().filter_map(|line| line["event"]["delta"]["text"].as_str()).collect();
    assert_eq!(pieces, ran.said());
    assert_eq!(events.last().unwrap()["event"]["type"], "message_stop");
}

#[test]
fn a_closed_stdout_ends_the_process_with_code_1() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let mut stderr = Vec::new();
    let stdin = Cursor::new(user("hello"));
    let config_dir = tempfile::tempdir().unwrap();
    let code = run(&STREAMS.map(str::to_owned), &environment(config_dir.path()), stdin, Closed, &mut stderr);
    assert_eq!(code, 1);
    assert!(String::from_utf8(stderr).unwrap().contains("cannot write its output"));
}
