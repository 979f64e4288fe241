//! What every store must do, as tests over the trait; each implementation runs all of them with [`conformance`].
//!
//! Each case gets a store that is empty and its own.

pub(super) mod chains;
pub(super) mod inbox;
pub(super) mod insight;
pub(super) mod kv;
pub(super) mod leases;
pub(super) mod outbox;
pub(super) mod oversight;
pub(super) mod rooms;
pub(super) mod steps;
pub(super) mod timers;
pub(super) mod upkeep;

use serde_json::json;
use uuid::Uuid;

use super::{Acceptance, JournalRow, Lease, NewEvent, Source, Store};
use crate::id::{EventId, HostId, LaneKey, MessageId, RoomId, SessionId, Timestamp, TurnId};

/// Makes a test of every case. `$fresh` is a function that answers an empty store and whatever must live as long.
macro_rules! conformance {
    ($fresh:path) => {
        $crate::store::conformance::conformance! { $fresh =>
            inbox {
                an_event_is_begun_with_what_it_was_accepted_with
                events_of_a_lane_come_in_the_order_they_were_accepted
                lanes_do_not_see_each_others_events
                an_unfinished_event_is_begun_again_and_counted
                what_was_broken_off_was_no_try
                a_finished_event_is_not_begun_again
                an_equal_delivery_within_the_window_is_a_duplicate
                a_delivery_that_differs_is_no_duplicate
                a_full_lane_refuses_and_takes_the_same_delivery_once_there_is_room
                lanes_with_unfinished_events_are_listed_oldest_first
                lanes_that_nobody_holds_are_found
                ids_of_any_size_come_back_unchanged
                what_waits_too_long_for_a_bot_that_is_gone_is_given_up
                who_asks_a_lane_to_stop_stops_its_oldest_event_once
                a_lane_with_nothing_to_do_has_nothing_to_stop
            }
            rooms {
                a_message_that_arrived_is_not_taken_as_missed
                a_found_message_that_arrives_after_all_is_a_duplicate
                a_room_is_known_from_its_first_message_on
                a_room_from_which_nothing_comes_is_forgotten_some_day
            }
            chains {
                messages_of_bots_are_counted_once_each_until_there_are_too_many
                a_person_ends_the_chain_and_so_does_a_pause
                rooms_and_campfires_have_chains_of_their_own
                a_repeated_delivery_is_not_counted
                where_bots_may_not_answer_bots_nobody_is_told
            }
            leases {
                a_lane_has_one_holder_until_its_lease_expires
                the_holder_renews_under_the_same_token_by_taking_the_lane_again
                renewing_answers_the_leases_that_are_still_held
                an_expired_lease_that_nobody_took_still_works
                an_idle_lane_is_released_and_its_lease_is_void
                a_lane_with_an_unfinished_event_is_not_released
                no_write_with_a_lost_lease_changes_anything
                a_token_is_never_given_out_twice
            }
            outbox {
                a_later_attempt_sees_the_parts_and_how_far_they_came
                recording_the_same_parts_again_changes_nothing
                another_answer_is_refused_once_one_was_recorded
                parts_are_marked_in_order
                a_part_that_was_not_sent_is_known_as_such
                a_note_is_kept_until_the_answer_is_recorded
                only_a_running_event_of_the_lane_takes_parts_and_an_end
                the_conversation_is_known_from_the_moment_the_answer_is_recorded
                what_was_recorded_with_the_parts_comes_back_with_them
                the_last_message_that_was_posted_is_known_as_long_as_its_event
            }
            timers {
                a_timer_is_set_listed_and_taken_back
                a_timer_of_the_same_name_replaces_the_one_before
                rooms_and_bots_have_timers_of_their_own
                a_room_and_a_bot_have_a_limited_number_of_timers
                only_what_is_due_is_found_the_longest_due_first
                a_timer_that_fires_becomes_an_event_of_its_lane_and_is_no_more
                a_timer_fires_once_however_many_hosts_try
                a_timer_that_was_set_anew_or_taken_back_does_not_fire
                a_full_lane_keeps_its_timers
                a_postponed_timer_is_not_found_until_then
                firings_are_no_deliveries_and_deliveries_no_firings
                an_operators_timer_fires_once_for_each_time
                what_is_settled_never_goes_back
            }
            steps {
                an_event_takes_only_the_steps_of_its_state
                a_part_becomes_only_what_its_state_allows
                an_event_is_not_done_before_its_parts_are_settled
            }
            oversight {
                a_paused_lane_takes_messages_and_begins_none
                a_bot_and_each_of_its_rooms_are_paused_on_their_own
                a_paused_lane_is_given_back_and_its_messages_kept
                conversations_are_listed_until_they_expire
                a_conversation_is_forgotten_at_once_unless_a_turn_uses_it
                failed_events_are_listed_newest_first_with_what_is_known_of_them
                an_event_without_an_answer_is_answered_anew_at_the_end_of_its_lane
                an_answer_that_was_not_posted_is_posted_from_where_it_broke_off
                a_sentence_about_a_failure_is_not_posted_again
                what_may_be_in_the_room_is_only_posted_anyway
                an_event_that_was_given_up_in_the_middle_repeats_nothing
                what_has_not_failed_is_not_put_back
            }
            insight {
                turns_are_found_by_whose_they_are_how_they_ended_and_what_they_say
                a_turn_is_found_by_what_it_posted
                turns_are_read_page_by_page
                a_turn_is_found_by_its_id
                spending_is_summed_up_by_bot_and_day
                hours_count_turns_by_outcome_and_say_how_long_they_took
                queues_are_listed_the_longest_waiting_first_also_where_it_is_paused
            }
            kv {
                a_key_is_written_read_and_removed
                a_write_with_a_wrong_expectation_conflicts_and_changes_nothing
                a_version_never_comes_back
                rooms_and_bots_do_not_see_each_others_keys
                keys_are_listed_by_prefix_in_order_and_page_by_page
                wildcards_of_other_languages_are_plain_characters
                a_key_or_value_that_is_too_long_is_refused
                a_bot_has_a_limited_number_of_keys
                a_bot_has_a_limited_number_of_bytes
            }
            upkeep {
                a_conversation_lasts_until_it_expires_or_is_forgotten
                the_journal_is_read_newest_first_and_by_bot
                a_trace_is_kept_as_long_as_its_turn
                tool_calls_are_kept_by_turn_in_their_order
                what_was_spent_is_counted_by_bot_and_day
                a_sweep_removes_what_is_old_and_keeps_what_is_needed
                messages_and_the_journal_are_kept_each_for_its_own_time
                the_reason_of_a_failure_is_kept_as_long_as_the_failure
                a_sweep_does_a_bounded_amount_of_work
                a_store_that_works_answers_a_ping
            }
        }
    };
    ($fresh:path => $($module:ident { $($case:ident)* })*) => {
        $(
            mod $module {
                $(
                    #[tokio::test]
                    async fn $case() {
                        let (store, _kept) = $fresh();
                        $crate::store::conformance::$module::$case(&store).await;
                    }
                )*
            }
        )*
    };
}
pub(super) use conformance;

/// When the cases begin.
const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// A limit that no case reaches by accident.
const ROOMY: u32 = 1_000;

/// This many seconds after [`NOW`].
fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000)
}

fn lane(bot: &str, room: u64) -> LaneKey {
    LaneKey { bot: bot.into(), room: RoomId(room) }
}

/// A message to bot "a" in room 1.
fn message(id: u64) -> NewEvent {
    message_in(lane("a", 1), id)
}

fn message_in(lane: LaneKey, id: u64) -> NewEvent {
    NewEvent {
        id: EventId::new(),
        lane,
        message: Some(MessageId(id)),
        kind: "message".to_owned(),
        content_hash: [7; 32],
        payload: format!("message {id}"),
        received_at: NOW,
        source: Source::Other,
        hop: None,
    }
}

fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

fn journal_row(lease: &Lease, event: EventId, ended_at: Timestamp) -> JournalRow {
    JournalRow {
        turn: TurnId::random(),
        event,
        lane: lease.lane.clone(),
        attempt: 1,
        started_at: NOW,
        ended_at,
        outcome: "replied".to_owned(),
        details: json!({ "posted": [4711], "cost-usd": 0.25 }),
    }
}

async fn accept(store: &dyn Store, event: &NewEvent) -> Acceptance {
    store.accept(event.clone(), ROOMY).await.unwrap()
}

/// The lane, taken by a host of its own for a minute.
async fn take(store: &dyn Store, lane: &LaneKey) -> Lease {
    store.lease(lane, HostId::random(), NOW, at(60)).await.unwrap().expect("the lane is free")
}

/// The payload of the lane's next event, which is finished at once.
async fn answer_next(store: &dyn Store, lease: &Lease) -> Option<String> {
    let begun = store.begin(lease, NOW).await.unwrap()?;
    finish(store, lease, begun.event, NOW).await;
    Some(begun.payload)
}

/// How many rows a sweep of everything before a time removes.
async fn sweep(store: &dyn Store, before: Timestamp, now: Timestamp) -> u64 {
    store.sweep(super::Horizon { events: before, journal: before }, now).await.unwrap().rows
}

async fn finish(store: &dyn Store, lease: &Lease, event: EventId, ended_at: Timestamp) {
    let row = journal_row(lease, event, ended_at);
    store.finish(lease, event, super::End::Done, super::SessionChange::Keep, row, None).await.unwrap();
}
