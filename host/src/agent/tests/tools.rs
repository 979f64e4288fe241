//! The host's tools in a turn.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{Stage, completed, patient, request};
use crate::{
    agent::{Request, ToolFailure, ToolSpec, Tools},
    config,
};

/// A tool that takes its time.
struct Slow(Duration);

#[async_trait]
impl Tools for Slow {
    fn list(&self) -> Vec<ToolSpec> {
        let input_schema = Map::from_iter([("type".to_owned(), "object".into())]).into();
        vec![ToolSpec { name: "slow".into(), description: "Slow.".into(), input_schema, read_only: true }]
    }

    async fn call(&self, _: &str, _: Map<String, Value>) -> Result<String, ToolFailure> {
        tokio::time::sleep(self.0).await;
        Ok("slowly done".into())
    }
}

#[tokio::test]
async fn a_tool_is_offered_and_called_and_its_time_is_not_the_agents_silence() {
    let deadlines = config::Deadlines { silence: Duration::from_secs(8), ..patient() };
    let stage = Stage::with(
        r#"cd "$HOME/../../.."; printf '%s\n' "$@" > arguments; read -r initialize; read -r prompt
        echo '{"type":"system","subtype":"init","mcp_servers":[{"name":"host","status":"connected"}]}'
        echo '{"type":"control_request","request_id":"r","request":{"subtype":"mcp_message","server_name":"host","message":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}}}'
        read -r answered; printf '%s\n' "$initialize" "$prompt" "$answered" > stdin; answer done; cat > /dev/null"#,
        deadlines,
        8,
    );
    let tools = Some(Arc::new(Slow(Duration::from_secs(10))) as Arc<dyn Tools>);
    let granted = vec!["Read".to_owned()];
    let report = stage.run(Request { tools, builtin_tools: granted, ..request() }).await;
    assert_eq!((&report.outcome, &report.cause), (&completed("done"), &None));
    let arguments = stage.lines("arguments");
    let config = r#"--mcp-config={"mcpServers":{"host":{"name":"host","type":"sdk"}}}"#;
    assert!(arguments.contains(&config.to_owned()), "{arguments:?}");
    assert!(arguments.contains(&"--allowedTools=Read,mcp__host".to_owned()), "{arguments:?}");
    assert!(arguments.contains(&"--tools=Read".to_owned()), "{arguments:?}");
    let stdin: Vec<Value> =
        stage.lines("stdin").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(stdin[0]["request"]["subtype"], "initialize");
    assert_eq!(stdin[1]["type"], "user");
    let result = &stdin[2]["response"]["response"]["mcp_response"]["result"];
    assert_eq!(result["content"][0]["text"], "slowly done");
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn an_agent_that_has_not_got_its_tools_answers_and_it_is_mentioned() {
    let tools = || Some(Arc::new(Slow(Duration::ZERO)) as Arc<dyn Tools>);
    let stage = Stage::new(
        r#"echo '{"type":"system","subtype":"init","mcp_servers":[{"name":"host","status":"failed"}]}'; answer done; cat > /dev/null"#,
    );
    let report = stage.run(Request { tools: tools(), ..request() }).await;
    assert_eq!(report.outcome, completed("done"));
    assert!(report.cause.unwrap().contains("none of the bot's tools: their server is `failed`"));
    let unknown = Stage::new("init; answer done; cat > /dev/null");
    let report = unknown.run(Request { tools: tools(), ..request() }).await;
    assert!(report.cause.unwrap().contains("their server is `unknown`"));
    assert_eq!(unknown.run(request()).await.cause, None, "there were none to offer");
}
