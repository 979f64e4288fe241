//! Whether a post whose fate is unknown is in its room: looked up in the room's history, where the server has one.
//!
//! A lane posts in order, so what is newer than the last thing it is known to have posted, by the same author and with the
//! same content, is the post that is sought. The history is read backwards from its end: what was posted just now is there.

use std::time::Duration;

use crate::{
    campfire::{Client, Outgoing, PastMessage, RequestError, Span, Target},
    causes::with_causes,
    id::{MessageId, Timestamp},
};

/// How many pages are read at most, of 40 messages each.
const PAGES: usize = 10;
/// How far Campfire's clock may be behind ours.
const SKEW: Duration = Duration::from_mins(2);

/// From where on a message can be the one that is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It is newer than this one.
    Message(MessageId),
    /// No message is known that is older; it was not written before this time.
    Time(Timestamp),
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is there, as this message.
    Found(MessageId),
    /// It is not there, so far.
    Absent,
    /// This can't be found out, and why.
    Unknowable(String),
    /// Campfire can't be asked now, and why.
    Unreachable(String),
}

/// Looks for `post` among the messages of the target's bot in its room.
pub(super) async fn find(client: &Client, target: &Target, post: &Outgoing, after: After) -> Look {
    let Some(author) = target.bot() else { return Look::Unknowable("the bot's key names no user".into()) };
    let mut span = Span::Newest;
    for _ in 0..PAGES {
        let page = match client.page(target, span).await {
            Ok(page) => page,
            Err(
                error
                @ (RequestError::NotSent { .. } | RequestError::Uncertain { .. } | RequestError::Banned),
            ) => return Look::Unreachable(with_causes(&error)),
            Err(error) => return Look::Unknowable(with_causes(&error)),
        };
        let mut ours = page.messages.iter().filter(|past| past.author.id == author && after.is_before(past));
        if let Some(found) = ours.find(|past| post.is_like(past)) {
            return Look::Found(found.id);
        }
        match page.messages.first() {
            Some(oldest) if page.more && after.is_before(oldest) => span = Span::Before(oldest.id),
            None if page.more => return Look::Unknowable("the room's messages can't be read".into()),
            _ => return Look::Absent,
        }
    }
    Look::Unknowable(format!("more than {} messages were written since", PAGES * 40))
}

impl After {
    fn is_before(self, past: &PastMessage) -> bool {
        match self {
            Self::Message(id) => past.id > id,
            Self::Time(time) => past.created_at >= time.before(SKEW),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use url::Url;

    use super::*;
    use crate::{
        campfire::Format,
        playground::{BotAccount, Features, Options, Playground},
        tenure::Tenure,
    };

    struct Bench {
        playground: Playground,
        account: BotAccount,
        client: Client,
        target: Target,
    }

    async fn bench(features: Features) -> Bench {
        let playground = Playground::new(Options { features, ..Options::default() });
        let account = playground.add_bot("bot", None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let router = playground.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (room, bot_key) = (account.direct_room, account.key.clone());
        let target = Target { base, room, bot_key, tenure: Tenure::endless() };
        Bench { playground, account, client: Client::new(Duration::from_mins(1)).unwrap(), target }
    }

    fn post(text: &str) -> Outgoing {
        Outgoing::text(Format::Markdown, text).remove(0)
    }

    impl Bench {
        async fn find(&self, text: &str, after: After) -> Look {
            find(&self.client, &self.target, &post(text), after).await
        }

        async fn post(&self, text: &str) -> MessageId {
            let Outgoing::Html(html) = post(text) else { panic!("a text") };
            self.client.post_html(&self.target, &html).await.unwrap().unwrap()
        }

        fn say(&self, text: &str, times: usize) -> MessageId {
            let (you, room) = (self.playground.you(), self.account.direct_room);
            let mut said = MessageId(0);
            for _ in 0..times {
                said = self.playground.say(you, room, text).unwrap();
            }
            said
        }
    }

    #[tokio::test]
    async fn a_post_is_found_behind_what_was_written_since_and_only_if_it_is_newer() {
        let bench = bench(Features::newest()).await;
        let before = bench.post("**the** same").await;
        let trigger = bench.say("the same", 1);
        assert_eq!(bench.find("**the** same", After::Message(trigger)).await, Look::Absent);
        let sought = bench.post("**the** same").await;
        bench.say("the same", 90);
        for after in [After::Message(trigger), After::Message(before)] {
            assert_eq!(bench.find("**the** same", after).await, Look::Found(sought), "{after:?}");
        }
        assert_eq!(bench.find("**the** same", After::Message(sought)).await, Look::Absent);
        assert_eq!(bench.find("another", After::Message(trigger)).await, Look::Absent);
        let by_time = bench.find("**the** same", After::Time(Timestamp::now())).await;
        assert_eq!(by_time, Look::Found(before), "all of it was just now");
        let tomorrow = Timestamp::now().after(Duration::from_hours(24));
        assert_eq!(bench.find("**the** same", After::Time(tomorrow)).await, Look::Absent);
    }

    #[tokio::test]
    async fn what_can_t_be_found_out_is_said_so() {
        let bench = bench(Features::newest()).await;
        let trigger = bench.say("hello", 1);
        bench.say("chatter", PAGES * 40);
        let far = bench.find("answer", After::Message(trigger)).await;
        assert_eq!(far, Look::Unknowable("more than 400 messages were written since".into()));

        let old = self::bench(Features::oldest()).await;
        assert!(matches!(old.find("answer", After::Message(trigger)).await, Look::Unknowable(_)));
        let stranger = Target { bot_key: "x".into(), ..old.target.clone() };
        let look = find(&old.client, &stranger, &post("answer"), After::Message(trigger)).await;
        assert!(matches!(look, Look::Unknowable(_)), "{look:?}");
        let nowhere = Target { base: Url::parse("http://127.0.0.1:1").unwrap(), ..old.target.clone() };
        let look = find(&old.client, &nowhere, &post("answer"), After::Message(trigger)).await;
        assert!(matches!(look, Look::Unreachable(_)), "{look:?}");
    }
}
