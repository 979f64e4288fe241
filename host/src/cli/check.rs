//! `hearth check`: the configuration, the secrets, the plugins, the agent, and a store in Redis. Nothing is answered and
//! nothing is sent: plugins are loaded, which asks them for their descriptions and tools, the agent is asked for its version,
//! and Redis for its setup.

use std::process::ExitCode;

use miette::{IntoDiagnostic, Report};
use secrecy::ExposeSecret;

use super::terminal::{self, good, odd};
use crate::{
    agent::{AgentError, CliVersion, Runner},
    causes::with_causes,
    config::{Bot, Config, StoreLocation},
    plugin::Loader,
    progress::Progress,
    stage::webhook_url,
    store::RedisStore,
};

/// Checks configuration, secrets, plugins and agent; says what each bot's webhook URL is.
pub(super) async fn check(config: Config, show_secrets: bool) -> Result<ExitCode, Report> {
    let mut findings = Findings::default();
    good(&format!("{} is well formed, with {} bots", config.path.display(), config.bots.len()));
    if let Err(problems) = config.for_production() {
        findings.failed = true;
        terminal::print(&format!("{:?}", Report::new(problems)));
    }

    let loader = Loader::new().into_diagnostic()?;
    for bot in config.bots.values() {
        let loading = Progress::of(&format!("The plugin of {} is being loaded", bot.name));
        let outcome = loader.load(bot, 1).await;
        drop(loading);
        match outcome {
            Ok(generation) => {
                let tools = generation.tools().iter().map(|tool| tool.name.as_str());
                let (worlds, tools) =
                    (listed("also for", generation.plugin.worlds()), listed("tools:", tools));
                good(&format!("{}: {:?}{worlds}{tools}", bot.name, generation.plugin));
            }
            Err(error) => {
                findings.bad(&format!("{}: {}: {}", bot.name, bot.plugin.display(), with_causes(&error)));
            }
        }
    }
    match agent(&config).await {
        Ok(version) if version.is_demo => good("the agent is the demo agent, which is no model"),
        Ok(version) => good(&format!("the agent is the claude CLI {version}")),
        Err(error) => findings.bad(&with_causes(&error)),
    }
    store(&config.store, &mut findings).await;
    if let Some(advice) = credentials(&config) {
        odd(advice);
    }
    for bot in config.bots.values() {
        if let Some(url) = webhook(&config, bot, show_secrets) {
            terminal::print(&format!("  {}: webhook URL {url}", bot.name));
        }
    }
    if !show_secrets && config.bots.values().any(|bot| bot.webhook_secret.is_some()) {
        odd("`hearth check --show-secrets` prints the webhook URLs whole, to paste them into Campfire");
    }
    Ok(if findings.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// "; tools: one, another", or nothing if there are none.
fn listed<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { String::new() } else { format!("; {what} {}", names.join(", ")) }
}

async fn agent(config: &Config) -> Result<CliVersion, AgentError> {
    let runner = Runner::new(config.agent.clone(), config.host.data_dir.clone())?;
    runner.version().await
}

/// Whether a store that is elsewhere can be reached, and what of its setup may lose something.
async fn store(location: &StoreLocation, findings: &mut Findings) {
    let StoreLocation::Redis(location) = location else { return };
    let concerns = match RedisStore::open(location).await {
        Ok(store) => store.concerns().await,
        Err(error) => Err(error),
    };
    match concerns {
        Ok(concerns) => {
            good(&format!("the store at {location} takes what it is given"));
            for concern in concerns {
                odd(&concern);
            }
        }
        Err(error) => findings.bad(&error.to_string()),
    }
}

/// What to do if the real CLI would start without credentials.
fn credentials(config: &Config) -> Option<&'static str> {
    const ONE_OF: [&str; 3] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
    let present = ONE_OF.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    (!config.agent.is_demo && !present).then_some(
        "none of ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN and CLAUDE_CODE_OAUTH_TOKEN is set, so the agent may be unable to reach a model",
    )
}

fn webhook(config: &Config, bot: &Bot, show_secrets: bool) -> Option<String> {
    let secret = bot.webhook_secret.as_ref()?;
    let shown = if show_secrets { secret.expose_secret() } else { "****" };
    Some(webhook_url(&config.host.public_url, &bot.name, shown).to_string())
}

/// Whether anything that was found is bad.
#[derive(Default)]
struct Findings {
    failed: bool,
}

impl Findings {
    fn bad(&mut self, text: &str) {
        self.failed = true;
        terminal::bad(text);
    }
}
