//! Partitions of a day (UTC) on PostgreSQL without TimescaleDB: made by the writer for days that have none, and ahead of need by
//! maintenance. Making one twice, from two connections at once, is harmless.

use std::collections::BTreeSet;

use deadpool_postgres::ClientWrapper;

use super::Error;
use super::session::LOCK_CLASS;

/// Advisory lock under which partitions are made.
const LOCK_PARTITIONS: i32 = LOCK_CLASS + 2;

/// Makes the partitions of `table` (`reading` or `waveform`) for these days (since 1970) that are missing. Not inside a transaction.
pub(super) async fn ensure_partitions(
    db: &ClientWrapper,
    table: &str,
    days: impl IntoIterator<Item = i32>,
) -> Result<(), Error> {
    let days: Vec<i32> = days.into_iter().collect();
    let names: Vec<String> = days.iter().map(|day| name(table, *day)).collect();
    let missing = missing(db, table, &names).await?;
    for (day, name) in days.iter().zip(&names).filter(|(_, name)| missing.contains(name.as_str())) {
        make(db, table, name, *day).await?;
    }
    Ok(())
}

/// Which of these names are no partition of the table.
async fn missing<'a>(db: &ClientWrapper, table: &str, names: &'a [String]) -> Result<BTreeSet<&'a str>, Error> {
    let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = to_regclass($1) AND c.relname = ANY($2)";
    let statement = db.prepare_cached(sql).await?;
    let mut missing: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    for row in db.query(&statement, &[&table, &names]).await? {
        missing.remove(row.get::<_, &str>(0));
    }
    Ok(missing)
}

/// Made beside the table and then attached: unlike `CREATE TABLE .. PARTITION OF` this waits for nobody who reads.
async fn make(db: &ClientWrapper, table: &str, name: &str, day: i32) -> Result<(), Error> {
    db.batch_execute("BEGIN").await?;
    let made = attach(db, table, name, day).await;
    db.batch_execute(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    made
}

async fn attach(db: &ClientWrapper, table: &str, name: &str, day: i32) -> Result<(), Error> {
    db.query("SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))", &[&LOCK_PARTITIONS]).await?;
    if missing(db, table, &[name.to_owned()]).await?.is_empty() {
        return Ok(());
    }
    let from = i64::from(day) * 86_400;
    let to = from + 86_400;
    db.batch_execute(&format!(
        "CREATE TABLE {name} (LIKE {table} INCLUDING STORAGE INCLUDING DEFAULTS);
         ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM (to_timestamp({from})) TO (to_timestamp({to}))"
    ))
    .await?;
    Ok(())
}

/// `reading_20261122`; days before 1970 or beyond 9999 by their number.
pub(super) fn name(table: &str, day: i32) -> String {
    let epoch = jiff::civil::date(1970, 1, 1);
    let date = epoch.checked_add(jiff::Span::new().days(i64::from(day).clamp(-700_000, 2_900_000)));
    match date {
        Ok(date) if day >= 0 && i64::from(day) < 2_900_000 => {
            format!("{table}_{:04}{:02}{:02}", date.year(), date.month(), date.day())
        }
        _ if day < 0 => format!("{table}_m{}", i64::from(day).unsigned_abs()),
        _ => format!("{table}_p{day}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_by_its_day() {
        assert_eq!(name("reading", 0), "reading_19700101");
        assert_eq!(name("reading", 20_779), "reading_20261122");
        assert_eq!(name("waveform", -1), "waveform_m1");
        assert_eq!(name("reading", i32::MAX), format!("reading_p{}", i32::MAX));
        assert!(name("reading", i32::MIN).starts_with("reading_m"));
    }
}
