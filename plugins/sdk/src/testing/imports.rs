//! The host's imports as a plugin finds them in a test: the same functions, answered by the [`World`] of the harness that is
//! calling the plugin in this thread.

use std::cell::RefCell;

use super::world::World;

thread_local! {
    /// `None` outside a call: then there is no host.
    static CURRENT: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Runs `call` in this world. A panic in it leaves the world as it was then, and no world behind in the thread.
pub(crate) fn within<T>(world: &mut World, call: impl FnOnce() -> T) -> T {
    struct Return<'a>(&'a mut World);

    impl Drop for Return<'_> {
        fn drop(&mut self) {
            *self.0 = CURRENT.take().unwrap_or_default();
        }
    }

    CURRENT.set(Some(std::mem::take(world)));
    let _return = Return(world);
    call()
}

/// What the world answers; `outside` where there is none.
fn ask<T>(outside: impl FnOnce() -> T, inside: impl FnOnce(&mut World) -> T) -> T {
    CURRENT.with_borrow_mut(|current| match current {
        Some(world) => inside(world),
        None => outside(),
    })
}

/// Why nothing can be reached outside a call.
const OUTSIDE: &str = "there is no host here: a plugin is called by a `testing::Harness` or by Hearth";

/// Lines for the operator's log.
pub(crate) mod log {
    use crate::log::Level;

    pub(crate) fn write(level: Level, message: &str) {
        super::ask(|| (), |world| world.write_log(level, message));
    }
}

/// What the operator configured.
pub(crate) mod settings {
    pub(crate) fn get() -> String {
        super::ask(|| "{}".to_owned(), |world| world.settings.to_string())
    }
}

/// What lasts.
pub(crate) mod kv {
    use crate::bindings::hearth::bot::kv::{Entry, Expectation, KvError, KvErrorKind, Page, Scope};

    fn outside<T>() -> Result<T, KvError> {
        Err(KvError { kind: KvErrorKind::Denied, message: super::OUTSIDE.to_owned(), attributes: Vec::new() })
    }

    pub(crate) fn get(scope: Scope, key: &str) -> Result<Option<Entry>, KvError> {
        super::ask(outside, |world| world.keys(scope)?.get(key))
    }

    pub(crate) fn set(scope: Scope, key: &str, value: &[u8], expect: Expectation) -> Result<u64, KvError> {
        super::ask(outside, |world| world.keys(scope)?.set(key, value, expect))
    }

    pub(crate) fn delete(scope: Scope, key: &str, expect: Expectation) -> Result<bool, KvError> {
        super::ask(outside, |world| world.keys(scope)?.delete(key, expect))
    }

    pub(crate) fn list(scope: Scope, prefix: &str, after: Option<&str>, limit: u32) -> Result<Page, KvError> {
        super::ask(outside, |world| world.keys(scope)?.list(prefix, after, limit))
    }
}

/// Requests.
pub(crate) mod http {
    use crate::{
        Sent,
        bindings::hearth::bot::http::{HttpError, HttpErrorKind, Request, Response},
    };

    pub(crate) fn send(request: &Request) -> Result<Response, HttpError> {
        let outside = || {
            let (kind, message) = (HttpErrorKind::Denied, super::OUTSIDE.to_owned());
            Err(HttpError { kind, sent: Sent::No, message, attributes: Vec::new() })
        };
        super::ask(outside, |world| world.web()?.send(request))
    }

    pub(crate) fn has_secret(host: &str, header: &str) -> bool {
        super::ask(|| false, |world| world.web().is_ok_and(|web| web.has_secret(host, header)))
    }
}

/// The room.
pub(crate) mod campfire {
    use crate::{
        Part, Sent,
        bindings::hearth::bot::campfire::{CampfireError, CampfireErrorKind, PastMessage, Query},
    };

    fn outside<T>() -> Result<T, CampfireError> {
        let (kind, message) = (CampfireErrorKind::Denied, super::OUTSIDE.to_owned());
        Err(CampfireError { kind, sent: Sent::No, message, attributes: Vec::new() })
    }

    pub(crate) fn history(query: &Query) -> Result<Vec<PastMessage>, CampfireError> {
        super::ask(outside, |world| world.here()?.history(query))
    }

    pub(crate) fn post(part: &Part) -> Result<Option<u64>, CampfireError> {
        super::ask(outside, |world| world.here()?.post(part))
    }

    pub(crate) fn edit(message: u64, part: &Part) -> Result<(), CampfireError> {
        super::ask(outside, |world| world.here()?.edit(message, part))
    }

    pub(crate) fn remove(message: u64) -> Result<(), CampfireError> {
        super::ask(outside, |world| world.here()?.remove(message))
    }

    pub(crate) fn boost(message: u64, text: &str) -> Result<(), CampfireError> {
        super::ask(outside, |world| world.here()?.boost(message, text))
    }
}

/// Timers.
pub(crate) mod schedule {
    use crate::{
        Timestamp,
        bindings::hearth::bot::schedule::{Pending, ScheduleError, ScheduleErrorKind},
    };

    fn outside<T>() -> Result<T, ScheduleError> {
        let (kind, message) = (ScheduleErrorKind::Denied, super::OUTSIDE.to_owned());
        Err(ScheduleError { kind, message, attributes: Vec::new() })
    }

    pub(crate) fn set(name: &str, due_at: Timestamp, payload: &str) -> Result<(), ScheduleError> {
        super::ask(outside, |world| world.timers_here()?.set(name, due_at, payload))
    }

    pub(crate) fn cancel(name: &str) -> Result<bool, ScheduleError> {
        super::ask(outside, |world| Ok(world.timers_here()?.cancel(name)))
    }

    pub(crate) fn list() -> Result<Vec<Pending>, ScheduleError> {
        super::ask(outside, |world| Ok(world.timers_here()?.list()))
    }
}

/// The time.
pub(crate) mod clock {
    use crate::Timestamp;

    pub(crate) fn now() -> Timestamp {
        super::ask(|| 0, |world| world.clock())
    }
}
