//! What a script answers: a word, and the values behind it, taken one by one.

use std::{str::FromStr, vec};

use redis::Value;

use crate::{
    id::{EventId, LaneKey, RoomId, SessionId, Timestamp},
    store::{Lease, PartState, StoreError, rules::step},
};

/// The word of a script that did what it was asked to.
pub(super) const OK: &str = "ok";

/// An answer, read from its beginning.
pub(super) struct Answer {
    /// "ok", or why it is something else.
    pub(super) word: String,
    values: vec::IntoIter<Value>,
}

impl Answer {
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        let Value::Array(values) = value else { return Err(malformed()) };
        let mut answer = Self { word: String::new(), values: values.into_iter() };
        answer.word = answer.text()?;
        Ok(answer)
    }

    /// Nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        self.values.len() == 0
    }

    /// An answer to the holder of a lease: whether it still is, and whether its event may take the step.
    pub(super) fn granted(self, lease: &Lease, event: EventId) -> Result<Self, StoreError> {
        let problem = match &*self.word {
            "lost" => return Err(StoreError::LeaseLost(lease.lane.clone())),
            "not running" => step::NOT_RUNNING,
            "other answer" => step::OTHER_ANSWER,
            "unsettled" => step::UNSETTLED,
            "early" => step::EARLY,
            "no part" => step::NO_PART,
            "past" => step::PAST,
            _ => return Ok(self),
        };
        Err(StoreError::OutOfStep { event, problem })
    }

    pub(super) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.values.next().ok_or_else(malformed)? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            Value::SimpleString(text) => Ok(Some(text.into_bytes())),
            Value::Int(number) => Ok(Some(number.to_string().into_bytes())),
            _ => Err(malformed()),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.optional_bytes()?.ok_or_else(malformed)
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        self.optional_bytes()?.map(|bytes| String::from_utf8(bytes).map_err(|_| malformed())).transpose()
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.optional_text()?.ok_or_else(malformed)
    }

    /// Whatever is written as one word: a number, an id.
    pub(super) fn parsed<T: FromStr>(&mut self) -> Result<T, StoreError> {
        parse(&self.text()?)
    }

    pub(super) fn optional_parsed<T: FromStr>(&mut self) -> Result<Option<T>, StoreError> {
        self.optional_text()?.map(|text| parse(&text)).transpose()
    }

    pub(super) fn timestamp(&mut self) -> Result<Timestamp, StoreError> {
        self.parsed().map(Timestamp)
    }

    pub(super) fn lane(&mut self) -> Result<LaneKey, StoreError> {
        lane(&self.text()?)
    }

    pub(super) fn session(&mut self) -> Result<Option<SessionId>, StoreError> {
        Ok(self.optional_parsed()?.map(SessionId))
    }

    pub(super) fn part_state(&mut self) -> Result<PartState, StoreError> {
        part_state(&self.text()?)
    }
}

/// The state of a part that is stored as this.
pub(super) fn part_state(text: &str) -> Result<PartState, StoreError> {
    Ok(match text {
        "planned" => PartState::Planned,
        "unsent" => PartState::Unsent,
        "uncertain" => PartState::Uncertain,
        "failed" => PartState::Failed,
        "posted" => PartState::Posted(None),
        _ => {
            let message = text.strip_prefix("posted ").ok_or_else(malformed)?;
            PartState::Posted(Some(crate::id::MessageId(parse(message)?)))
        }
    })
}

/// How a part's state is stored.
pub(super) fn part_word(state: PartState) -> String {
    match state {
        PartState::Planned => "planned".to_owned(),
        PartState::Unsent => "unsent".to_owned(),
        PartState::Uncertain => "uncertain".to_owned(),
        PartState::Failed => "failed".to_owned(),
        PartState::Posted(None) => "posted".to_owned(),
        PartState::Posted(Some(message)) => format!("posted {message}"),
    }
}

/// How a lane is stored. No bot's name has a colon.
pub(super) fn lane_word(lane: &LaneKey) -> String {
    format!("{}:{}", lane.bot, lane.room)
}

/// The lane that is stored as this.
pub(super) fn lane(text: &str) -> Result<LaneKey, StoreError> {
    let (bot, room) = text.split_once(':').ok_or_else(malformed)?;
    Ok(LaneKey { bot: bot.into(), room: RoomId(parse(room)?) })
}

pub(super) fn parse<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| malformed())
}

/// Somebody else wrote there, or an eviction took half of something away.
pub(super) fn malformed() -> StoreError {
    StoreError::Unavailable("what lies in Redis is not what Hearth has written".into())
}
