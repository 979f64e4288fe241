//! A conversation's way from host to host: what the store has of its transcript is laid down before the agent is asked, and
//! what the agent has added goes there before anybody knows that it was answered.
//!
//! - The conversation in the store is the truth. A file that begins with what the store has is current. What it has behind
//!   that stays: the store would have something else if anybody had gone on from there in another way, so it is what the
//!   CLI writes when it ends, or what an agent of this host made of this very message before the host was killed. An answer
//!   among it is paid for, and is found there when the message is begun again.
//! - A process that waits is current if the store has what this process was left with. Any other ends before the file is
//!   touched, as it writes a last time when it ends.
//! - Where the store has no transcript of the conversation (it was a single host's before), this host's file is what there is.
//! - One that is too long stays where it is, and the store knows how far it goes. A host that has it goes on with it. Any
//!   other begins a new conversation and says so, as with one that the CLI does not know; so it is with what the store has
//!   lost a part of.
//! - A store that can't be reached, and a disk that takes nothing, are no reason to forget: the turn waits for them.

use std::{io, time::Instant};

use tokio_util::sync::CancellationToken;

use super::{insist::insist, meter};
use crate::{
    agent::{LayingError, Request, Runner, Transcripts},
    causes::with_causes,
    id::{EventId, LaneKey, SessionId},
    store::{Lease, Mark, Shared, Store, StoreError, Transcript},
};

/// A conversation on its way to this host, and from it.
pub(super) struct Travel<'turn> {
    shared: &'turn dyn Shared,
    agents: &'turn Runner,
    lease: &'turn Lease,
    event: EventId,
    stop: &'turn CancellationToken,
    here: Transcripts,
    /// What the store has of it.
    known: Option<Transcript>,
}

impl<'turn> Travel<'turn> {
    /// None where no other host shares the store.
    pub(super) fn of(
        store: &'turn dyn Store,
        agents: &'turn Runner,
        lease: &'turn Lease,
        event: EventId,
        stop: &'turn CancellationToken,
    ) -> Option<Self> {
        let shared = store.shared()?;
        // A bot of such a name can't be asked anything; the agent says why.
        let here = agents.transcripts(&lease.lane.bot).ok()?;
        Some(Self { shared, agents, lease, event, stop, here, known: None })
    }

    /// Has the transcript here that the agent will need. False: there is none to be had, and the conversation is lost. None:
    /// the host closes.
    ///
    /// # Errors
    /// The store refuses to say.
    pub(super) async fn arrive(&mut self, request: &Request) -> Result<Option<bool>, StoreError> {
        let begun = [Some(request.new_session), request.begun_as];
        let begun = begun.into_iter().flatten().filter(|_| request.again);
        let sessions: Vec<SessionId> = request.session.into_iter().chain(begun).collect();
        if sessions.is_empty() {
            return Ok(Some(true));
        }
        let lane = &self.lease.lane;
        let Some(known) = insist(self.stop, || self.shared.transcript(lane)).await? else { return Ok(None) };
        self.known = known.filter(|known| sessions.contains(&known.mark.session));
        let mark = self.known.as_ref().map(|known| known.mark);
        if self.agents.waits_with(&lane.bot, lane.room, mark.as_ref()).await {
            return Ok(Some(true));
        }
        let Some(known) = self.known else { return Ok(Some(true)) };
        let is_here = insist(self.stop, || self.is_here(&known)).await?;
        Ok(is_here.map(|is_here| is_here || request.session != Some(known.mark.session)))
    }

    /// Whether a file of this host is current, after it was made so if it can be.
    async fn is_here(&self, known: &Transcript) -> Result<bool, StoreError> {
        let (began, lane, session) = (Instant::now(), &self.lease.lane, known.mark.session);
        match bring(self.shared, lane, known, &self.here).await? {
            Brought::WasHere => Ok(true),
            Brought::LaidDown(bytes) => {
                meter::transcript(&lane.bot, "laid-down");
                meter::transcript_moved(&lane.bot, "laid-down", bytes, began.elapsed());
                tracing::info!(%session, bytes, "another host's transcript was laid down");
                Ok(true)
            }
            Brought::Lost(why) => {
                meter::transcript(&lane.bot, "lost");
                tracing::error!(%session, why, "there is no transcript to go on with");
                Ok(false)
            }
        }
    }

    /// Sends what the agent has added to the transcript that [arrived](Self::arrive), or to another that it has begun. From
    /// then on any host can go on with the conversation.
    ///
    /// # Errors
    /// The lease is lost.
    pub(super) async fn depart(&self, session: SessionId) -> Result<(), StoreError> {
        let after = self.known.as_ref().filter(|known| known.pieces.is_some()).map(|known| known.mark);
        if let Some(Some(mark)) = insist(self.stop, || self.send(session, after)).await? {
            let lane = &self.lease.lane;
            self.agents.left_with(&lane.bot, lane.room, mark);
        }
        Ok(())
    }

    /// Answers how far the store knows the transcript then; none if nobody has written one.
    async fn send(&self, session: SessionId, after: Option<Mark>) -> Result<Option<Mark>, StoreError> {
        // The second time from its beginning: what the store has is not what this host thinks.
        for after in [after, None] {
            match self.send_from(session, after).await {
                Ok(Sent::Up(to)) => return Ok(Some(to)),
                Ok(Sent::Nothing) => return Ok(None),
                Ok(Sent::Elsewhere) => {}
                Err(Trouble::Reading(error)) => {
                    tracing::error!(%session, %error, "a transcript can't be read; nobody will go on with it");
                    // No file begins with that.
                    let nobodys = Mark { session, bytes: 0, sha256: [0; 32] };
                    self.shared.mark_transcript(self.lease, self.event, &nobodys).await?;
                    return Ok(Some(nobodys));
                }
                Err(other) => return Err(other.into()),
            }
        }
        Err(StoreError::Unavailable("it does not keep the transcript that it is sent".into()))
    }

    async fn send_from(&self, session: SessionId, after: Option<Mark>) -> Result<Sent, Trouble> {
        let (began, bot, here) = (Instant::now(), &self.lease.lane.bot, self.here.clone());
        let Some(mut leaving) = blocking(move || here.leaving(session, after)).await?? else {
            return Ok(Sent::Nothing);
        };
        let after = leaving.after().copied();
        if let Some(after) = after.filter(|_| leaving.is_over()) {
            return Ok(Sent::Up(after));
        }
        let (lease, event) = (self.lease, self.event);
        if leaving.is_too_long() {
            let mark = blocking(move || leaving.mark()).await??;
            self.shared.mark_transcript(lease, event, &mark).await?;
            meter::transcript(bot, "too-long");
            tracing::warn!(%session, bytes = mark.bytes, "the transcript is too long to leave this host");
            return Ok(Sent::Up(mark));
        }
        let (mut index, mut bytes) = (0, 0);
        let last = loop {
            let piece;
            (leaving, piece) = blocking(move || leaving.piece().map(|piece| (leaving, piece))).await??;
            bytes += piece.len();
            if leaving.is_over() {
                break piece;
            }
            self.shared.lay_aside(lease, event, index, &piece).await?;
            index += 1;
        };
        let mark = leaving.mark()?;
        if !self.shared.keep_transcript(lease, event, after.as_ref(), &mark, index, &last).await? {
            return Ok(Sent::Elsewhere);
        }
        meter::transcript(bot, "sent");
        meter::transcript_moved(bot, "sent", bytes, began.elapsed());
        Ok(Sent::Up(mark))
    }
}

/// Has the lane's transcript here, as far as the store knows it.
///
/// # Errors
/// The store does not answer, or this host's disk takes nothing or can't be read.
pub(crate) async fn bring(
    store: &dyn Shared,
    lane: &LaneKey,
    known: &Transcript,
    here: &Transcripts,
) -> Result<Brought, Trouble> {
    let mark = known.mark;
    let looking = here.clone();
    if blocking(move || looking.reaches(&mark)).await?? {
        return Ok(Brought::WasHere);
    }
    let Some(pieces) = known.pieces else {
        return Ok(Brought::Lost("it was not sent to the store, and is another host's alone"));
    };
    match lay_down(store, lane, mark, pieces, here.clone()).await {
        Ok(bytes) => Ok(Brought::LaidDown(bytes)),
        Err(Trouble::Laying(LayingError::Broken)) => {
            Ok(Brought::Lost("what the store has of it is not whole"))
        }
        Err(other) => Err(other),
    }
}

/// Answers how many bytes came, compressed.
async fn lay_down(
    store: &dyn Shared,
    lane: &LaneKey,
    mark: Mark,
    pieces: u32,
    here: Transcripts,
) -> Result<usize, Trouble> {
    let mut laying = blocking(move || here.laying(mark)).await??;
    let (mut from, mut bytes) = (0, 0);
    while from < pieces {
        let more = store.transcript_pieces(lane, &mark, from).await?;
        if more.is_empty() {
            break;
        }
        from += u32::try_from(more.len()).unwrap_or(u32::MAX);
        bytes += more.iter().map(Vec::len).sum::<usize>();
        let add = move || more.iter().try_for_each(|piece| laying.add(piece)).map(|()| laying);
        laying = blocking(add).await??;
    }
    blocking(move || laying.finish()).await??;
    Ok(bytes)
}

/// What came of having a transcript here.
pub(crate) enum Brought {
    /// It was.
    WasHere,
    /// It came from the store; so many bytes, compressed.
    LaidDown(usize),
    /// There is none to be had; why.
    Lost(&'static str),
}

/// What came of sending.
enum Sent {
    /// The store knows the transcript up to here.
    Up(Mark),
    /// Nobody has written one.
    Nothing,
    /// The store has something else than what this went on from.
    Elsewhere,
}

/// What can be in the way of a transcript.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Laying(#[from] LayingError),
    #[error(transparent)]
    Reading(#[from] io::Error),
}

/// What is the matter with this host's disk is treated as what is the matter with the store: a turn can't do without either.
impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => error,
            other => Self::Unavailable(with_causes(&other).into()),
        }
    }
}

/// Does what may take a while off the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panicked| StoreError::Unavailable(panicked.to_string().into()))
}
