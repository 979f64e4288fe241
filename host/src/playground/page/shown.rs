//! What the page is told, as JSON.

use serde::Serialize;

use super::files;
use crate::{
    id::{MessageId, RoomId, Timestamp, UserId},
    playground::{
        Delivery, Effect, Features, Message, Playground, backstage::ShownBackstage, html, lock, world::World,
    },
};

/// Everything but the messages.
#[derive(Serialize)]
pub(super) struct ShownState {
    notice: String,
    /// Whom the page speaks as.
    speaker: UserId,
    people: Vec<ShownPerson>,
    /// The speaker's.
    rooms: Vec<ShownRoom>,
    features: Features,
    /// How many posts of bots are to go wrong.
    faults: u32,
    backstage: ShownBackstage,
}

#[derive(Serialize)]
struct ShownPerson {
    id: UserId,
    name: String,
    bot: bool,
}

#[derive(Serialize)]
struct ShownRoom {
    id: RoomId,
    /// Of a direct room: the others in it.
    name: String,
    direct: bool,
    members: Vec<UserId>,
}

/// A message for whoever speaks.
#[derive(Serialize)]
pub(super) struct ShownMessage {
    id: MessageId,
    room: RoomId,
    author: UserId,
    name: String,
    bot: bool,
    /// Sanitised; what the page may insert as markup.
    html: Option<String>,
    /// What the speaker typed, to be edited; none of others' messages.
    typed: Option<String>,
    sound: Option<String>,
    attachment: Option<ShownAttachment>,
    boosts: Vec<ShownBoost>,
    created_at: Timestamp,
}

#[derive(Serialize)]
struct ShownAttachment {
    name: String,
    size: usize,
    url: String,
    /// "image", "audio" or "video", if the page can show it.
    shown_as: Option<String>,
}

#[derive(Serialize)]
struct ShownBoost {
    id: u64,
    author: UserId,
    name: String,
    content: String,
}

/// Why no answer comes.
#[derive(Serialize)]
pub(super) struct ShownTrouble {
    room: RoomId,
    text: String,
}

// === impl ShownState ===

impl ShownState {
    pub(super) fn of(playground: &Playground, speaker: UserId) -> Self {
        let notice = lock(&playground.inner.notice).clone();
        let (features, faults) = (*playground.inner.features.borrow(), playground.faults_waiting());
        let backstage = playground.backstage();
        let world = playground.world();
        let people = world.people().into_iter().map(|person| ShownPerson {
            id: person.id,
            name: person.name,
            bot: person.is_bot,
        });
        let rooms = world.rooms().into_iter().filter(|room| room.members.contains(&speaker));
        let rooms = rooms.map(|room| ShownRoom {
            id: room.id,
            direct: room.name.is_none(),
            name: room.name.unwrap_or_else(|| {
                let others = room.members.iter().filter(|member| **member != speaker);
                others.filter_map(|member| world.name_of(*member)).collect::<Vec<_>>().join(", ")
            }),
            members: room.members,
        });
        Self {
            notice,
            speaker,
            people: people.collect(),
            rooms: rooms.collect(),
            features,
            faults,
            backstage,
        }
    }
}

// === impl ShownMessage ===

impl ShownMessage {
    /// Sanitising takes its time for a large body, so the world is not locked meanwhile.
    pub(super) fn of(playground: &Playground, message: &Message, speaker: UserId) -> Self {
        let signer = playground.world().signer();
        let name_of = |user| playground.world().name_of(user).unwrap_or_default().to_owned();
        let html = message.html.as_deref().map(|body| html::shown(body, &signer, |user| Some(name_of(user))));
        let attachment = message.attachment.as_ref().map(|file| ShownAttachment {
            name: file.name.clone(),
            size: file.size,
            url: format!("/attachments/{}", message.id),
            shown_as: files::is_shown(&file.media_type)
                .then(|| file.media_type.split('/').next().unwrap_or_default().to_owned()),
        });
        let (boosts, bot) = (message.boosts.iter(), playground.world().is_bot(message.author));
        Self {
            id: message.id,
            room: message.room,
            author: message.author,
            name: name_of(message.author),
            bot,
            sound: sound(&message.plain).filter(|_| html.is_some()).map(str::to_owned),
            typed: (message.author == speaker && html.is_some()).then(|| message.plain.clone()),
            html,
            attachment,
            boosts: boosts
                .map(|boost| ShownBoost {
                    id: boost.id,
                    author: boost.author,
                    name: name_of(boost.author),
                    content: boost.content.clone(),
                })
                .collect(),
            created_at: message.created_at,
        }
    }
}

/// The name in `/play NAME`, if that is all there is.
fn sound(plain: &str) -> Option<&str> {
    plain
        .strip_prefix("/play ")
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'))
}

// === impl ShownTrouble ===

impl ShownTrouble {
    /// A webhook that failed is seen by nobody in a real room; here whoever speaks there is told why no answer comes.
    pub(super) fn of(world: &World, delivery: &Delivery, speaker: UserId) -> Option<Self> {
        let bot = world.name_of(delivery.bot).unwrap_or_default();
        let text = match &delivery.effect {
            Effect::Nothing | Effect::Posted(_) | Effect::Uploaded(_) | Effect::TimedOut(_) => return None,
            Effect::Unreachable(reason) => format!("{bot} could not be reached: {reason}"),
            Effect::JobFailed(reason) => format!("{bot} gave an answer that Campfire fails on: {reason}"),
            Effect::Dropped => format!("{bot} was not told: too many messages are waiting"),
        };
        world.is_member(speaker, delivery.room).then_some(Self { room: delivery.room, text })
    }
}
