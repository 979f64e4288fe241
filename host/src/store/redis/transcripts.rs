//! The agents' transcripts.

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use redis::ScriptInvocation;

use super::{
    super::{Lease, Mark, PIECES_BYTES, StoreError, Transcript, Transcripts},
    OK, RedisStore, lane_word, malformed, of_event, scripts,
};
use crate::id::{EventId, LaneKey, SessionId};

/// How many pieces one call looks at: a lane whose turns are short has many small ones.
const LOOKED_AT: u32 = 256;

#[async_trait]
impl Transcripts for RedisStore {
    async fn transcript(&self, lane: &LaneKey) -> Result<Option<Transcript>, StoreError> {
        let mut call = self.link.call(&scripts::TRANSCRIPT);
        let mut answer = self.link.ask(call.arg(lane_word(lane))).await?;
        let Some(session) = answer.session()? else { return Ok(None) };
        let mark = read_mark(session, answer.parsed()?, &answer.text()?)?;
        Ok(Some(Transcript { mark, pieces: answer.optional_parsed()? }))
    }

    async fn transcript_pieces(
        &self,
        lane: &LaneKey,
        mark: &Mark,
        from: u32,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut call = self.link.call(&scripts::TRANSCRIPT_PIECES);
        write_mark(call.arg(lane_word(lane)), mark);
        let mut answer = self.link.ask(call.arg(from).arg(LOOKED_AT).arg(PIECES_BYTES)).await?;
        let mut pieces = Vec::new();
        while !answer.is_over() {
            pieces.push(answer.bytes()?);
        }
        Ok(pieces)
    }

    async fn lay_aside(
        &self,
        lease: &Lease,
        event: EventId,
        index: u32,
        piece: &[u8],
    ) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::LAY_ASIDE);
        self.ask_held(lease, event, of_event(&mut call, lease, event).arg(index).arg(piece)).await
    }

    async fn keep_transcript(
        &self,
        lease: &Lease,
        event: EventId,
        after: Option<&Mark>,
        mark: &Mark,
        aside: u32,
        last: &[u8],
    ) -> Result<bool, StoreError> {
        let mut call = self.link.call(&scripts::KEEP_TRANSCRIPT);
        write_mark(of_event(&mut call, lease, event), mark);
        call.arg(aside).arg(last);
        if let Some(after) = after {
            write_mark(&mut call, after);
        }
        match &*self.link.ask(&call).await?.granted(lease, event)?.word {
            OK => Ok(true),
            "other" => Ok(false),
            _ => Err(malformed()),
        }
    }

    async fn mark_transcript(&self, lease: &Lease, event: EventId, mark: &Mark) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::MARK_TRANSCRIPT);
        write_mark(of_event(&mut call, lease, event), mark);
        self.ask_held(lease, event, &call).await
    }
}

pub(super) fn write_mark(call: &mut ScriptInvocation<'_>, mark: &Mark) {
    let hash = BASE64_URL_SAFE_NO_PAD.encode(mark.sha256);
    call.arg(mark.session.to_string()).arg(mark.bytes).arg(hash);
}

fn read_mark(session: SessionId, bytes: u64, hash: &str) -> Result<Mark, StoreError> {
    let hash = BASE64_URL_SAFE_NO_PAD.decode(hash).map_err(|_| malformed())?;
    Ok(Mark { session, bytes, sha256: hash.try_into().map_err(|_| malformed())? })
}
