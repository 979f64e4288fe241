//! What of a Redis' setup may lose what a host relies on.

use std::collections::HashMap;

use super::{Link, StoreError};

/// The oldest version that is fit.
const FIT: u32 = 7;

/// Asks Redis how it is set up. Where it does not say, that is a concern and no error.
pub(super) async fn concerns(link: &Link) -> Result<Vec<String>, StoreError> {
    let info = link.try_query::<String>(&redis::cmd("INFO")).await?.ok();
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg("appendfsync");
    let config = link.try_query::<HashMap<String, String>>(&get).await?.ok();
    let flush = config.as_ref().and_then(|config| config.get("appendfsync"));
    let mut concerns = judge(info.as_deref(), flush.map(String::as_str));
    let mut publish = redis::cmd("PUBLISH");
    publish.arg(link.key("host:none")).arg("");
    if link.try_query::<u64>(&publish).await?.is_err() {
        concerns.push(format!(
            "this user may not publish: hosts that share the store can't tell each other to stop a turn or to take a room; give it the channels `&{}`",
            link.key("*")
        ));
    }
    Ok(concerns)
}

/// What `INFO` and `CONFIG GET appendfsync` come to, as far as they were answered.
fn judge(info: Option<&str>, flush: Option<&str>) -> Vec<String> {
    let Some(info) = info else {
        return vec!["Redis does not tell this user how it is set up (INFO): see yourself that it is version 7 or later, with `maxmemory-policy noeviction` and `appendonly yes`".to_owned()];
    };
    let field = |name: &str| {
        let of_name =
            |line: &'_ str| line.trim_end().strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
        info.lines().find_map(of_name)
    };
    let mut concerns = Vec::new();
    if let Some(version) = field("redis_version") {
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < FIT) {
            concerns.push(format!(
                "Redis is version {version}; Hearth is made for {FIT} and later, and for Valkey"
            ));
        }
    }
    match field("maxmemory_policy") {
        Some(policy) if policy != "noeviction" => concerns.push(format!(
            "Redis evicts keys when its memory is full (`maxmemory-policy {policy}`): messages, conversations and timers would be lost without a word; set `maxmemory-policy noeviction`"
        )),
        Some(_) => {}
        None => concerns.push("Redis does not say what it does when its memory is full; see that `maxmemory-policy` is noeviction".to_owned()),
    }
    if field("aof_enabled").is_some_and(|enabled| enabled == "0") {
        concerns.push("Redis keeps no append-only file (`appendonly no`): when it restarts, everything since its last snapshot is lost, messages that were acknowledged among it; set `appendonly yes`".to_owned());
    } else {
        match flush {
            Some("always") => {}
            Some("no") => concerns.push("Redis leaves it to the system when its append-only file is flushed (`appendfsync no`): a power loss takes up to half a minute of acknowledged messages; set `appendfsync everysec`, or `always` to lose none".to_owned()),
            Some(_) => concerns.push("Redis flushes its append-only file once a second (`appendfsync everysec`): a power loss of its machine takes up to a second of acknowledged messages; `appendfsync always` loses none, and is slower".to_owned()),
            None => concerns.push("Redis does not tell this user how often it flushes its append-only file (CONFIG GET is not allowed): a power loss may take acknowledged messages; ask whoever runs it for `appendfsync`".to_owned()),
        }
    }
    if field("role").is_some_and(|role| role != "master") {
        concerns.push(
            "this Redis is a replica, which takes no writes; name the primary in [store] url".to_owned(),
        );
    }
    if field("connected_slaves").is_some_and(|replicas| replicas != "0") {
        concerns.push("Redis has replicas, which get every write a moment later: a failover takes what had not arrived there, acknowledged messages among it".to_owned());
    }
    concerns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, policy: &str, aof: u8, more: &str) -> String {
        format!(
            "# Server\r\nredis_version:{version}\r\n# Memory\r\nmaxmemory_policy:{policy}\r\naof_enabled:{aof}\r\nrole:master\r\n{more}"
        )
    }

    #[test]
    fn a_redis_that_loses_nothing_is_no_concern() {
        assert_eq!(
            judge(Some(&info("7.0.15", "noeviction", 1, "connected_slaves:0\r\n")), Some("always")),
            [""; 0]
        );
    }

    #[test]
    fn what_may_be_lost_is_said_with_the_setting_that_helps() {
        for (info, flush, word) in [
            (info("6.2.1", "noeviction", 1, ""), Some("always"), "version 6.2.1"),
            (info("7.2.4", "allkeys-lru", 1, ""), Some("always"), "maxmemory-policy noeviction"),
            (info("7.2.4", "noeviction", 0, ""), Some("always"), "appendonly yes"),
            (info("7.2.4", "noeviction", 1, ""), Some("everysec"), "appendfsync always"),
            (info("7.2.4", "noeviction", 1, ""), Some("no"), "appendfsync everysec"),
            (info("7.2.4", "noeviction", 1, ""), None, "CONFIG GET is not allowed"),
            (info("7.2.4", "noeviction", 1, "connected_slaves:1\r\n"), Some("always"), "failover"),
        ] {
            let concerns = judge(Some(&info), flush);
            assert!(concerns.len() == 1 && concerns[0].contains(word), "{word}: {concerns:?}");
        }
        assert_eq!(judge(None, None).len(), 1);
    }
}
