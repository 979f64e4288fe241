//! Everything is replaced all the time, and nobody who speaks with the bots notices.

use hearth_tests::soak;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_saved_every_message_is_answered_once_by_the_code_that_was_current_when_its_turn_began() {
    soak::run(45).await;
}
