//! Agents that are confined to the files that they need (`[agent] sandbox`).

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(target_os = "linux")]

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use hearth_tests::{binary, claude_cli, messages_api::MessagesApi, outside::Outside, world::PATIENCE};
use serde_json::json;
use tempfile::TempDir;

/// An agent that answers what it can do that it should not, and what it should be able to do.
const PROWLER: &str = r#"
case "$*" in *--version) echo "2.1.330 (Claude Code)"; exit;; esac
can() { if eval "$2" > /dev/null 2>&1; then echo -n "$1=yes "; else echo -n "$1=no "; fi; }
prowl() {
    data="$HOME/../../.."
    can its-own 'echo > "$HOME/note" && cat "$HOME/note" && echo > "$TMPDIR/note" && cat "$TMPDIR/note" && echo > note && ls'
    can programs 'ls /usr/bin && date'
    can system-prompt 'cat "$TMPDIR/../system-prompt.md"'
    can store 'head -c 1 "$data/hearth.db"'
    can config 'cat "$data/../bots.toml"'
    can others 'ls "$data/agents" && echo > "$data/agents/note"'
    can temporary 'echo > "$data/../note"'
    can proc 'cat "/proc/$PPID/cmdline"'
    can environment 'cat "/proc/$PPID/environ"'
    can memory 'cat "/proc/$PPID/maps"'
    can root 'ls "/proc/$PPID/root/etc"'
    can signal 'kill -0 "$PPID"'
}
while read -r line; do
    case "$line" in *'"type":"user"'*) ;; *) continue;; esac
    id=${line##*\"uuid\":\"}; id=${id%%\"*}
    echo '{"type":"system","subtype":"init","session_id":"11111111-1111-4111-8111-111111111111"}'
    printf '{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"%s"}\n' "$(prowl)"
    cat > /dev/null
done
"#;

/// A folder with a program that can be read by anybody.
fn prowler() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("prowler");
    fs::write(&script, PROWLER).unwrap();
    (folder, script)
}

/// What the prowler says it can and can't, on an `[agent]` with these keys.
async fn prowled(keys: &str) -> Vec<(String, bool)> {
    let (_folder, script) = prowler();
    let agent = format!("command = [\"sh\", '{0}']\n{keys}", script.display());
    let agent = agent.replace("SCRIPT", &script.display().to_string());
    let outside = Outside::with_agent_and_bot(&agent, "system-prompt = \"Be kind.\"").await;
    outside.say("prowl").await;
    outside.answered(1).await;
    let answer = outside.answers().remove(0);
    let found = answer.split_whitespace().filter_map(|word| word.split_once('='));
    found.map(|(what, can)| (what.to_owned(), can == "yes")).collect()
}

fn able(found: &[(String, bool)]) -> Vec<&str> {
    // Signals are kept back from Linux 6.12 on.
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let keeps_signals = (numbers.next(), numbers.next()) >= (Some(6), Some(12));
    let found = found.iter().filter(|(what, can)| *can && (keeps_signals || what != "signal"));
    found.map(|(what, _)| what.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_agent_reaches_what_is_its_own_and_nothing_else() {
    let free = prowled("").await;
    assert_eq!(free.len(), 12, "{free:?}");
    assert!(free.iter().all(|(_, can)| *can), "nothing keeps it back: {free:?}");

    let confined = prowled("sandbox = \"landlock\"\nsandbox-read = ['SCRIPT']").await;
    assert_eq!(able(&confined), ["its-own", "programs", "system-prompt"], "{confined:?}");

    // Even where it may look at processes, it learns nothing of what they keep to themselves.
    let looking = prowled("sandbox = \"landlock\"\nsandbox-read = ['SCRIPT', \"/proc\"]").await;
    assert_eq!(able(&looking), ["its-own", "programs", "system-prompt", "proc"], "{looking:?}");
}

/// Somebody to be looked at, who has a secret.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "what is confined, and who is looked at")]
fn command(program: &Path, user: Option<u32>) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_process_can_t_read_the_environment_of_another_one_of_the_same_user() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Where everybody can run it; a link if that is possible, as it is large.
    let hearth = folder.path().join("hearth");
    if fs::hard_link(binary::path(), &hearth).is_err() {
        fs::copy(binary::path(), &hearth).unwrap();
    }
    let nobody = rustix::process::geteuid().is_root().then_some(65_534);
    // As whoever runs the tests, and as somebody else if that is root.
    for user in std::iter::once(None).chain(nobody.map(Some)) {
        let mut sleep = command(Path::new("sleep"), user);
        let victim = Victim(sleep.arg("600").env("SECRET", "hush").spawn().unwrap());
        let file = format!("/proc/{}/environ", victim.0.id());
        // One that was started has its environment a moment later.
        let there = async {
            let has_it = |environment: Vec<u8>| String::from_utf8_lossy(&environment).contains("SECRET=hush");
            while !fs::read(&file).is_ok_and(has_it) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.expect("it has an environment");
        let read = |command: &mut Command| -> Output { command.stdin(Stdio::null()).output().unwrap() };
        let free = read(command(Path::new("cat"), user).arg(&file));
        assert!(String::from_utf8_lossy(&free.stdout).contains("SECRET=hush"), "{user:?}: {free:?}");
        let confined = read(
            command(&hearth, user)
                .args([
                    "confined",
                    "--read=/usr",
                    "--read=/bin",
                    "--read=/lib",
                    "--read=/lib64",
                    "--read=/proc",
                ])
                .args(["--read=/etc/ld.so.cache", "--", "cat"])
                .arg(&file),
        );
        assert!(!confined.status.success() && confined.stdout.is_empty(), "{user:?}: {confined:?}");
        let said = String::from_utf8_lossy(&confined.stderr);
        assert!(said.contains("cat: ") && said.contains("denied"), "{user:?}: {said}");
    }
}

/// What `hearth check` says of this `[agent]`, and whether it is content with it.
fn check(agent: &str) -> (bool, String) {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("bots.toml");
    let plugins = binary::repository().join("plugins/dist");
    fs::write(
        &config,
        format!(
            "[host]\nplugins = '{}'\n[campfire]\nurl = \"http://127.0.0.1:1\"\n[agent]\n{agent}\n\
             [bots.echo]\nplugin = \"echo\"\nbot-key = \"2-abcdefghijkl\"\nwebhook-secret = \"0123456789abcdef\"\n",
            plugins.display()
        ),
    )
    .unwrap();
    let mut check = command(binary::path(), None);
    let checked = check.arg("check").arg("--config").arg(&config).env("NO_COLOR", "1").output().unwrap();
    (checked.status.success(), String::from_utf8(checked.stdout).unwrap())
}

#[test]
fn the_demo_agent_reads_a_file_outside_only_where_it_is_named() {
    let folder = TempDir::new().unwrap();
    let settings = folder.path().join("settings.json");
    fs::write(&settings, "{}").unwrap();
    // An argument of the CLI's that names a file; the agent complains if it can't read that.
    let command = format!("command = [\"demo-agent\", '--settings={}']\n", settings.display());
    assert!(check(&command).0, "it is there");
    let (is_well, said) = check(&format!("{command}sandbox = \"landlock\""));
    assert!(!is_well && said.contains("Settings file not found"), "{said}");
    let named = format!("{command}sandbox = \"landlock\"\nsandbox-read = ['{}']", folder.path().display());
    let (is_well, said) = check(&named);
    assert!(is_well && said.contains("the agent is the demo agent"), "{said}");
}

#[test]
fn a_program_that_is_not_there_is_told_as_without_a_sandbox() {
    let (is_well, said) = check("command = \"no-such-claude\"\nsandbox = \"landlock\"");
    assert!(!is_well && said.contains("`no-such-claude` not found on PATH"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_agent_remembers_in_its_sandbox() {
    let outside = Outside::with_agent("command = \"demo-agent\"\nsandbox = \"landlock\"").await;
    outside.say("my name is Zelda").await;
    outside.hear("Nice to meet you, Zelda").await;
    outside.say("what is my name?").await;
    outside.hear("Your name is Zelda").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_cli_runs_a_turn_with_tool_calls_in_its_sandbox_and_reads_no_file_outside() {
    let api = MessagesApi::start();
    let agent = format!(
        "wrapper = [\"env\", \"ANTHROPIC_BASE_URL={}\", \"ANTHROPIC_API_KEY=sk-dummy\"]\n\
         command = '{}'\nsandbox = \"landlock\"",
        api.url(),
        claude_cli::path().display()
    );
    let bot = "grants = [\"kv\", \"clock\"]\nbuiltin-tools = [\"Read\"]";
    let outside = Outside::with_agent_and_bot(&agent, bot).await;
    let remember = json!({ "subject": "Standup", "note": "It is at nine." });
    outside.say(&format!("TOOL:mcp__host__remember:{remember}")).await;
    outside.answered(1).await;
    outside.say("TOOL:mcp__host__recall:{\"about\": \"standup\"}").await;
    outside.answered(2).await;
    let answers = outside.answers();
    assert!(answers[1].contains("tool said") && answers[1].contains("It is at nine."), "{answers:?}");

    let secret = outside.folder().join("bots.toml");
    let read = json!({ "file_path": secret });
    outside.say(&format!("TOOL:Read:{read}")).await;
    outside.answered(3).await;
    let answer = &outside.answers()[2];
    assert!(answer.contains("tool failed") && !answer.contains("webhook-secret"), "{answer}");
    outside.say("RECALL").await;
    outside.answered(4).await;
    assert!(outside.answers()[3].contains("Standup"), "the conversation goes on: {:?}", outside.answers());
}
