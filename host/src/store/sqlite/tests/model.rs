//! The inbox against a model that is small enough to be believed: queues in memory.

use std::collections::{HashMap, VecDeque};

use proptest::{collection::vec, prelude::*};

use super::{super::lanes, *};

/// How many events a lane of the model may hold.
const LIMIT: u32 = 4;

#[derive(Debug, Clone)]
enum Step {
    /// A message arrives in a room.
    Accept { room: u64, message: u64 },
    /// The holder of a room's lane takes the next event.
    Begin { room: u64 },
    /// And answers it.
    Finish { room: u64 },
    /// The holder dies, and another host takes the lane over.
    TakeOver { room: u64 },
}

#[derive(Default)]
struct Lane {
    lease: Option<Lease>,
    /// The messages, and how often each was begun.
    queue: VecDeque<(u64, u32)>,
    running: Option<EventId>,
}

fn step() -> impl Strategy<Value = Step> {
    let room = 0..3_u64;
    prop_oneof![
        4 => (room.clone(), 0..40_u64).prop_map(|(room, message)| Step::Accept { room, message }),
        3 => room.clone().prop_map(|room| Step::Begin { room }),
        3 => room.clone().prop_map(|room| Step::Finish { room }),
        1 => room.prop_map(|room| Step::TakeOver { room }),
    ]
}

fn lease_of(connection: &Connection, room: u64, time: i64) -> Lease {
    lanes::lease(connection, lane(room), HostId::random(), Timestamp(time), Timestamp(time + 1))
        .unwrap()
        .unwrap()
}

proptest! {
    #[test]
    fn every_lane_is_a_queue_that_survives_its_holders(steps in vec(step(), 1..80)) {
        let mut connection = Connection::open_in_memory().unwrap();
        migration::run(&mut connection, migration::STEPS).unwrap();
        let mut model: HashMap<u64, Lane> = HashMap::new();
        let mut taken = Vec::new();

        for (time, step) in (0..).zip(steps) {
            match step {
                Step::Accept { room, message: id } => {
                    let lane = model.entry(room).or_default();
                    let expected = if taken.contains(&id) {
                        Acceptance::Duplicate
                    } else if lane.queue.len() == LIMIT as usize {
                        Acceptance::Refused
                    } else {
                        lane.queue.push_back((id, 0));
                        taken.push(id);
                        Acceptance::Fresh
                    };
                    prop_assert_eq!(inbox::accept(&connection, &message(room, id), LIMIT).unwrap(), expected);
                }
                Step::Begin { room } => {
                    let lane = model.entry(room).or_default();
                    let lease = lane.lease.get_or_insert_with(|| lease_of(&connection, room, time));
                    let begun = inbox::begin(&connection, lease, Timestamp(time)).unwrap();
                    lane.running = begun.as_ref().map(|begun| begun.event);
                    let expected = lane.queue.front_mut().map(|(message, attempts)| {
                        *attempts += 1;
                        (format!("message {message}"), *attempts)
                    });
                    prop_assert_eq!(begun.map(|begun| (begun.payload, begun.attempt)), expected);
                }
                Step::Finish { room } => {
                    let lane = model.entry(room).or_default();
                    if let (Some(lease), Some(event)) = (&lane.lease, lane.running.take()) {
                        inbox::finish(&connection, lease, event, End::Done, SessionChange::Keep, &row(event), None).unwrap();
                        lane.queue.pop_front();
                    }
                }
                Step::TakeOver { room } => {
                    let lane = model.entry(room).or_default();
                    let old = lane.lease.replace(lease_of(&connection, room, time + 1_000));
                    lane.running = None;
                    if let Some(old) = old {
                        prop_assert!(matches!(
                            inbox::begin(&connection, &old, Timestamp(time)),
                            Err(StoreError::LeaseLost(_))
                        ));
                    }
                }
            }
        }
        let mut unfinished: Vec<_> = model.iter().filter(|(_, lane)| !lane.queue.is_empty()).map(|(room, _)| *room).collect();
        let mut listed: Vec<_> = inbox::unfinished_lanes(&connection).unwrap().iter().map(|lane| lane.room.0).collect();
        unfinished.sort_unstable();
        listed.sort_unstable();
        prop_assert_eq!(listed, unfinished);
    }
}
