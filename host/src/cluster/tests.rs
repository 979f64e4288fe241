use uuid::Uuid;

use super::*;
use crate::{
    plugin::Compiler,
    reload::{Refused, Running},
};

fn bot(name: &str, generation: u64, hash: &str, settings: &str) -> BotStatus {
    let running = Running {
        generation,
        plugin: "echo".to_owned(),
        version: "1.0.0".to_owned(),
        hash: hash.to_owned(),
        settings: settings.to_owned(),
        compiler: Compiler::Cranelift,
        since: Timestamp(1),
    };
    BotStatus { bot: name.into(), running: Some(running), refused: None, quarantined: Vec::new() }
}

fn host(number: u128, bots: Vec<BotStatus>) -> HostNow {
    HostNow {
        host: Host { id: HostId(Uuid::from_u128(number)), name: format!("web-{number}") },
        version: "1".to_owned(),
        started_at: Timestamp(7),
        admin: None,
        phase: Phase::Open,
        bots,
        left_out: 0,
        running: 0,
        lanes: Vec::new(),
        agents: Agents { busy: 0, warm: 0, memory: 0 },
    }
}

fn says(hosts: &[HostNow]) -> Vec<String> {
    mixed(hosts).into_iter().map(|mixed| mixed.says).collect()
}

#[test]
fn hosts_that_run_the_same_under_other_numbers_are_not_mixed() {
    let hosts = [host(1, vec![bot("a", 1, "aa", "s")]), host(2, vec![bot("a", 9, "aa", "s")])];
    assert_eq!(says(&hosts), [""; 0]);
    assert_eq!(says(&hosts[..1]), [""; 0]);
    assert_eq!(says(&[]), [""; 0]);
}

#[test]
fn a_bot_of_which_some_hosts_run_other_code_or_settings_or_nothing_is_named_with_what_most_run_first() {
    let b = || bot("b", 1, "bb", "s");
    let hosts = [
        host(1, vec![bot("a", 1, "old", "s"), b()]),
        host(2, vec![bot("a", 2, "new", "s"), b()]),
        host(3, vec![bot("a", 2, "new", "s"), b()]),
    ];
    assert_eq!(
        says(&hosts),
        ["a is not the same on all 3 hosts: 2 run echo 1.0.0 new; 1 runs echo 1.0.0 old"]
    );
    let hosts =
        [host(1, vec![bot("a", 1, "aa", "s")]), host(2, vec![bot("a", 2, "aa", "t")]), host(3, vec![])];
    assert_eq!(
        says(&hosts),
        ["a is not the same on all 3 hosts: 1 runs nothing of it; 1 runs echo 1.0.0 aa with settings s; \
          1 runs echo 1.0.0 aa with settings t"]
    );
}

#[test]
fn a_host_that_loads_or_ends_is_no_reason_to_call_a_bot_mixed() {
    for phase in [Phase::Opening, Phase::Closing] {
        let other = HostNow { phase, ..host(2, vec![]) };
        assert_eq!(says(&[host(1, vec![bot("a", 1, "aa", "s")]), other]), [""; 0]);
    }
}

#[test]
fn what_a_host_says_is_bounded_and_what_is_left_out_is_counted() {
    let refused = Refused { content: None, cause: "é".repeat(100_000), at: Timestamp(1) };
    let bots = |number: usize| {
        (0..number)
            .map(|bot_number| BotStatus {
                refused: Some(refused.clone()),
                ..bot(&format!("bot-{bot_number:04}"), 1, "aa", "s")
            })
            .collect()
    };
    let said = written(host(1, bots(20)), PRESENCE_BYTES);
    let now: HostNow = serde_json::from_str(&said).unwrap();
    assert_eq!((now.bots.len(), now.left_out), (20, 0));
    assert!(now.bots[0].refused.as_ref().unwrap().cause.starts_with("éé"));
    let said = written(host(1, bots(1_000)), PRESENCE_BYTES);
    let now: HostNow = serde_json::from_str(&said).unwrap();
    assert!(said.len() <= PRESENCE_BYTES && said.len() > PRESENCE_BYTES / 2, "{}", said.len());
    assert_eq!(now.bots.len() + now.left_out, 1_000);
}

#[test]
fn a_dashboard_on_every_address_is_named_by_its_machine() {
    assert_eq!(reachable("0.0.0.0:9000".parse().unwrap(), "web-1"), "web-1:9000");
    assert_eq!(reachable("10.0.0.7:9000".parse().unwrap(), "web-1"), "10.0.0.7:9000");
}
