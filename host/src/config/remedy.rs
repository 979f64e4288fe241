//! What to do about each mistake, and what is said at the place itself.
//!
//! Like the mistakes, no remedy holds a secret.

use super::mistake::Mistake;

impl Mistake {
    /// What to do about it, as a sentence.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable { .. } => "name another file with `--config <file>`, or see that this one is there and readable".into(),
            Self::NotUtf8 { .. } => "save the file as UTF-8".into(),
            Self::Syntax { .. } => "texts need quotes; tables are `[name]`, values `key = value`".into(),
            Self::UnknownKey { remedy, .. } => remedy.clone(),
            Self::WrongType { example: Some(example), .. } => format!("for example: {example}"),
            Self::WrongType { key, example: None, expected, .. } if expected == "a table" => {
                format!("write [{key}] on a line of its own, and its keys below it")
            }
            Self::WrongType { key, expected, .. } => format!("make `{key}` {expected}"),
            Self::MoreWrongTypes => "correct these first, then look again".into(),
            Self::NoBots => "add one, for example:\n[bots.echo]\nplugin = \"echo\"".into(),
            Self::Missing { key: "room", .. } => "add `room = …`, the id of the room where the answer goes".into(),
            Self::Missing { key: "at", .. } => "add `at = \"…\"`, like \"0 9 * * 1-5\"".into(),
            Self::Missing { key, .. } => format!("add `{key} = \"…\"` below the table's name"),
            Self::BotName { .. } => {
                "use 1 to 32 lower-case letters, digits and dashes, and no dash in front".into()
            }
            Self::OutOfRange { .. } => "choose a value within these bounds".into(),
            Self::Duration { .. } => "write a whole number and ms, s, m, h or d, like \"20s\"".into(),
            Self::Size { .. } => {
                "write a whole number and B, KB, MB, GB, KiB, MiB or GiB, like \"64MiB\", or a number of bytes".into()
            }
            Self::Budget { .. } => "write a number like 0.5, or leave the key out for no limit".into(),
            Self::Address { key: "admin", .. } => {
                "write an IP address and a port, like \"127.0.0.1:8789\", or \"off\"".into()
            }
            Self::Address { .. } => "write an IP address and a port, like \"127.0.0.1:8787\"".into(),
            Self::Url { .. } | Self::BaseUrl { .. } => {
                "write an address like \"https://campfire.example.com\", with a port or a path if it has one".into()
            }
            Self::Store => "write \"sqlite:<path>\", like \"sqlite:hearth.db\", or \"redis://<host>\"".into(),
            Self::StoreUrl { .. } => "write \"redis://<host>\", or \"rediss://<user>@<host>:<port>/<database>?prefix=<prefix>\" with password = \"${VARIABLE}\" below it".into(),
            Self::Empty { key } => format!("give `{key}` a value, or leave it out"),
            Self::Long { limit, .. } => format!("shorten it to at most {limit}"),
            Self::VariableName { .. } => "use letters, digits and underscores, and no digit in front; the value is set where Hearth is started".into(),
            Self::CommandWithArguments => "write an array: [\"command\", \"first argument\"]".into(),
            Self::OwnPath { .. } => "write the command as [\"/path/to/hearth\", \"demo-agent\"]".into(),
            Self::BothPrompts { .. } | Self::SparesWithTools { .. } => "remove one of the two".into(),
            Self::NoSandbox => "switch it on in [agent]: sandbox = \"landlock\"".into(),
            Self::Placeholder { .. } => "write the name of an environment variable: letters, digits and underscores".into(),
            Self::Variable { variable, .. } => format!("set it where Hearth is started: export {variable}=…"),
            Self::File { .. } => {
                "see that the file is there, readable and of at most 64KiB; a relative path starts at the configuration's folder"
                    .into()
            }
            Self::BotKey => {
                "copy the part between `rooms/<id>/` and `/messages` from the bot's page in Campfire: digits, a dash, and \
                 12 or more letters and digits"
                    .into()
            }
            Self::Guessable { .. } => "use 16 or more random ones, as `openssl rand -hex 16` prints".into(),
            Self::AdminWithoutToken => {
                "add `admin-token = \"${HEARTH_ADMIN_TOKEN}\"` (`openssl rand -hex 24` makes one), or listen on 127.0.0.1".into()
            }
            Self::Shared { .. } => "give each bot its own".into(),
            Self::CronExpression { .. } => {
                "write five fields: minute, hour, day of the month, month, day of the week, like \"0 9 * * 1-5\"".into()
            }
            Self::CronNever { .. } => "name a day that there is".into(),
            Self::Zone { .. } => "write a name of the IANA time zone database, like \"Europe/Zurich\"".into(),
            Self::CronName { .. } => "give it another name".into(),
            Self::ManyCrons { .. } => "join some of them, or make it two bots".into(),
            Self::CronRoom { room } => format!("add {room} to `rooms`, or name a room that is there"),
            Self::HttpHost { .. } => {
                "write it like \"api.example.com\", or \"api.example.com:8443\" for that port alone; each server needs its own table"
                    .into()
            }
            Self::SameHttpHost { .. } => "put all of it in one table".into(),
            Self::SeveralCauses { .. } => "keep one of them; each turn is about one thing".into(),
            Self::NoExpectation { .. } => "say what the plugin is to do: expect.reply = \"…\"".into(),
            Self::HttpHostPrivate { .. } => "add `private = true` to this table if the plugin may reach it".into(),
            Self::HeaderName => "write the header's name, and its value behind the `=`: authorization = \"Bearer ${TOKEN}\"".into(),
            Self::HeaderReserved { .. } => "remove it".into(),
            Self::HeaderTwice { .. } => "keep one of the two; upper and lower case are the same in a header's name".into(),
            Self::HeaderValue { .. } => "see what the variable or the file contains".into(),
            Self::NotFinite { .. } => "write it as a text".into(),
            Self::PlaygroundOnly { bot, lacks } => to_leave_the_playground(bot, lacks),
        }
    }

    /// What is said at the place itself.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Syntax { .. } => "here".into(),
            Self::UnknownKey { nearest: Some(name), .. } => format!("`{name}`?"),
            Self::UnknownKey { .. } => "nothing reads this".into(),
            Self::WrongType { expected, .. } => format!("must be {expected}"),
            Self::NoBots => "nothing in it".into(),
            Self::Missing { key, .. } => format!("needs `{key}`"),
            Self::OutOfRange { bounds, .. } => bounds.clone(),
            Self::BothPrompts { .. } => "the second".into(),
            Self::Variable { variable, .. } => format!("`{variable}` is not set or empty"),
            Self::Shared { .. } | Self::SameHttpHost { .. } | Self::HeaderTwice { .. } => {
                "the same again".into()
            }
            Self::PlaygroundOnly { .. } => "in this table".into(),
            _ => "this".into(),
        }
    }
}

fn to_leave_the_playground(bot: &str, lacks: &[&'static str]) -> String {
    let variable = bot.to_ascii_uppercase().replace('-', "_");
    let lines = lacks.iter().map(|key| match *key {
        "`campfire-url`" => {
            "campfire-url = \"https://…\"   # or `url` in [campfire], for all bots".to_owned()
        }
        key => {
            let key = key.trim_matches('`');
            format!("{key} = \"${{{variable}_{}}}\"", key.to_ascii_uppercase().replace('-', "_"))
        }
    });
    format!("add to [bots.{bot}]:\n{}", lines.collect::<Vec<_>>().join("\n"))
}
