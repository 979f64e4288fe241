//! The steps that are atomic, each one script: `scripts/prelude.lua`, then its own.

use std::sync::LazyLock;

use redis::Script;

macro_rules! scripts {
    ($($name:ident $file:literal)*) => {$(
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            let parts =
                [include_str!("scripts/prelude.lua"), include_str!(concat!("scripts/", $file, ".lua"))];
            Script::new(&parts.concat())
        });
    )*};
}

scripts! {
    ACCEPT "accept"
    ANNOUNCE "announce"
    ASK_TO_STOP "ask_to_stop"
    BEGIN "begin"
    BREAK_OFF "break_off"
    CANCEL_TIMER "cancel_timer"
    DUE_TIMERS "due_timers"
    ENDED "ended"
    FAILED "failed"
    FINISH "finish"
    FIRE "fire"
    FORGET "forget"
    FORGET_ROOM "forget_room"
    GIVE_UP "give_up"
    HASHES "hashes"
    IMPORT "import"
    KEEP_TRANSCRIPT "keep_transcript"
    KNOW_ROOM "know_room"
    KV_DELETE "kv_delete"
    KV_LIST "kv_list"
    KV_SET "kv_set"
    LANES "lanes"
    LAY_ASIDE "lay_aside"
    LEASE "lease"
    MARK_PART "mark_part"
    MARK_TRANSCRIPT "mark_transcript"
    NOTE "note"
    NOTE_FULL "note_full"
    POSTPONE_TIMER "postpone_timer"
    QUEUES "queues"
    READ_TO "read_to"
    RECORD_PARTS "record_parts"
    RECORD_TOOL_CALL "record_tool_call"
    RELEASE "release"
    RENEW "renew"
    RETRY "retry"
    ROOMS "rooms"
    SETTLE_CRON "settle_cron"
    SET_TIMER "set_timer"
    SPEND "spend"
    STOP "stop"
    STOPPED "stopped"
    SWEEP "sweep"
    TIMERS "timers"
    TIMER_COUNTS "timer_counts"
    TOOL_CALLS "tool_calls"
    TRANSCRIPT "transcript"
    TRANSCRIPT_PIECES "transcript_pieces"
}
