//! The schema's history: each step is one SQL script and runs once, in a transaction with the new `user_version`.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The steps, oldest first. The n-th leads to version n. A released one never changes.
pub(super) const STEPS: &[&str] = &[
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
    include_str!("../migrations/0004.sql"),
    include_str!("../migrations/0005.sql"),
    include_str!("../migrations/0006.sql"),
    include_str!("../migrations/0007.sql"),
    include_str!("../migrations/0008.sql"),
    include_str!("../migrations/0009.sql"),
];

/// The version of the schema in the file; 0 of a new one.
pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Fails if the file, called `path`, has a version that `steps` do not lead to.
pub(super) fn refuse_newer(connection: &Connection, path: &str, steps: &[&str]) -> Result<(), StoreError> {
    let (found, known) = (version(connection)?, last(steps));
    if found > known {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Runs the steps that the file has not seen yet.
pub(super) fn run(connection: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let from = version(connection)?;
    for (to, step) in (1..).zip(steps).skip_while(|(to, _)| *to <= from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", to)?;
        transaction.commit()?;
    }
    Ok(())
}

fn last(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_brought_to_the_newest_version() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, STEPS).unwrap();
        assert_eq!(version(&connection).unwrap(), last(STEPS));
        assert!(connection.table_exists(None, "event").unwrap());
    }

    #[test]
    fn steps_that_were_run_are_not_run_again() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, &["CREATE TABLE a (x)"]).unwrap();
        run(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"]).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
        assert!(connection.table_exists(None, "b").unwrap());
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)"];
        assert!(matches!(run(&mut connection, &steps), Err(StoreError::Unavailable(_))));
        assert_eq!(version(&connection).unwrap(), 1);
        assert!(!connection.table_exists(None, "b").unwrap());
    }

    #[test]
    fn a_newer_version_is_refused_with_both_numbers() {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 7).unwrap();
        let refused = refuse_newer(&connection, "hearth.db", &["", ""]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "hearth.db has schema version 7, this Hearth knows up to 2; run the newer Hearth, or move the file away"
        );
    }
}
