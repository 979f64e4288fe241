//! Whether a table says the same as before, secrets included: what did not change is left alone by a reload.

use secrecy::{ExposeSecret, SecretString};

use super::{Admin, Bot, HttpHost, RedisLocation};

impl PartialEq for Bot {
    fn eq(&self, other: &Self) -> bool {
        // Taken apart, so that a key that is added can't be forgotten here.
        let Self {
            name,
            plugin,
            bot_key,
            webhook_secret,
            campfire_url,
            rooms,
            model,
            system_prompt,
            builtin_tools,
            max_turns,
            turns_in_flight,
            spares,
            budget_usd_turn,
            budget_usd_day,
            progress_after,
            stop_words,
            attach_over,
            session_ttl,
            grants,
            http,
            limits,
            cron,
            settings,
        } = self;
        *name == other.name
            && *plugin == other.plugin
            && exposed(bot_key.as_ref()) == exposed(other.bot_key.as_ref())
            && exposed(webhook_secret.as_ref()) == exposed(other.webhook_secret.as_ref())
            && *campfire_url == other.campfire_url
            && *rooms == other.rooms
            && *model == other.model
            && *system_prompt == other.system_prompt
            && *builtin_tools == other.builtin_tools
            && *max_turns == other.max_turns
            && *turns_in_flight == other.turns_in_flight
            && *spares == other.spares
            && *budget_usd_turn == other.budget_usd_turn
            && *budget_usd_day == other.budget_usd_day
            && *progress_after == other.progress_after
            && *stop_words == other.stop_words
            && *attach_over == other.attach_over
            && *session_ttl == other.session_ttl
            && *grants == other.grants
            && *http == other.http
            && *limits == other.limits
            && *cron == other.cron
            && *settings == other.settings
    }
}

impl PartialEq for Admin {
    fn eq(&self, other: &Self) -> bool {
        let Self { listen, token } = self;
        *listen == other.listen && exposed(token.as_ref()) == exposed(other.token.as_ref())
    }
}

impl PartialEq for RedisLocation {
    fn eq(&self, other: &Self) -> bool {
        let Self { host, port, tls, database, prefix, user, password } = self;
        *host == other.host
            && *port == other.port
            && *tls == other.tls
            && *database == other.database
            && *prefix == other.prefix
            && *user == other.user
            && exposed(password.as_ref()) == exposed(other.password.as_ref())
    }
}

impl Eq for RedisLocation {}

impl PartialEq for HttpHost {
    fn eq(&self, other: &Self) -> bool {
        let Self { host, port, headers, private, plain } = self;
        let pairs = || headers.iter().zip(&other.headers);
        *host == other.host
            && *port == other.port
            && *private == other.private
            && *plain == other.plain
            && headers.len() == other.headers.len()
            && pairs().all(|((name, value), (other_name, other_value))| {
                name == other_name && value.expose_secret() == other_value.expose_secret()
            })
    }
}

fn exposed(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(ExposeSecret::expose_secret)
}
