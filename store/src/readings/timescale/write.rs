//! One write: rows, origins, waveforms, moves, marks for late rows, newest readings and the progress, in one transaction.
//!
//! What can be sent together is sent together: an ordinary write takes two round trips. Nothing is committed when any part fails:
//! after an error the server rolls back, and answers the `COMMIT` behind it with a rollback.
//!
//! When the connection ends at the commit, nobody knows whether it happened. Writing the same again is right in both cases.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use deadpool_postgres::ClientWrapper;

use super::columns::{Columns, Parcel, day_of};
use super::link::Link;
use super::memory::Change;
use super::migrate::Kind;
use super::row::{Key, MOVED, Row};
use super::types::Micros;
use super::{Error, Progress, Written, beside, moves, partitions};

const INSERT: &str = "INSERT INTO reading (ts, value, subject, device, metric, quality)
  SELECT * FROM unnest($1::timestamptz[], $2::float8[], $3::int8[], $4::int8[], $5::int4[], $6::int2[])
  ON CONFLICT DO NOTHING";
/// Positions (from 1) of rows whose instant is stored with another value or quality. Bits are compared.
const CONFLICTS: &str = "SELECT s.i FROM unnest($1::timestamptz[], $2::float8[], $3::int8[], $4::int4[], $5::int2[])
  WITH ORDINALITY AS s(ts, value, subject, metric, quality, i)
  JOIN reading r ON r.subject = s.subject AND r.metric = s.metric AND r.ts = s.ts
  WHERE r.ts BETWEEN $6 AND $7 AND (r.quality <> s.quality OR float8send(r.value) <> float8send(s.value))";
/// The row's lock keeps whoever raises `rollup_claimed` waiting until this write is committed.
const CLAIMED: &str = "SELECT rollup_claimed FROM state FOR UPDATE";
const STATE: &str =
    "UPDATE state SET live = $1, pending = $2, rows = rows + $3, latest_from = coalesce($4, latest_from)";
const LATE: &str = "INSERT INTO late AS l (subject, metric, day)
  SELECT * FROM unnest($1::int8[], $2::int4[], $3::int4[]) ON CONFLICT (subject, metric, day) DO UPDATE SET seq = l.seq + 1";
const LATEST: &str = "INSERT INTO latest (ts, value, subject, device, metric, quality)
  SELECT * FROM unnest($1::timestamptz[], $2::float8[], $3::int8[], $4::int8[], $5::int4[], $6::int2[])
  ON CONFLICT (subject, metric) DO UPDATE SET ts = excluded.ts, value = excluded.value, device = excluded.device,
    quality = excluded.quality";
const GONE: &str = "DELETE FROM latest l USING unnest($1::int8[], $2::int4[]) AS g(subject, metric)
  WHERE l.subject = g.subject AND l.metric = g.metric";

/// Stores a parcel and the progress.
pub(super) async fn write(link: Arc<Link>, parcel: Parcel, progress: Progress) -> Result<Written, Error> {
    link.with_writer(link.write_limit(), |db| attempts(&link, db, parcel, &progress)).await
}

async fn attempts(
    link: &Link,
    db: Arc<ClientWrapper>,
    mut parcel: Parcel,
    progress: &Progress,
) -> Result<Written, Error> {
    let expired = parcel.expire(&link.limits());
    let plain = link.contact().is_none_or(|contact| contact.kind == Kind::Plain);
    if plain {
        make_room(link, &db, &parcel).await?;
    }
    let mut written = match transaction(link, &db, &parcel, progress).await {
        // A partition was dropped since we last looked.
        Err(Error::Refused { code }) if plain && code == "23514" => {
            db.batch_execute("ROLLBACK").await?;
            link.memory().days = Default::default();
            make_room(link, &db, &parcel).await?;
            transaction(link, &db, &parcel, progress).await
        }
        other => other,
    }?;
    (written.expired, written.waves.expired) = (written.expired + expired.0, written.waves.expired + expired.1);
    Ok(written)
}

/// Partitions for the days of a parcel, as far as they are not known to be there.
async fn make_room(link: &Link, db: &ClientWrapper, parcel: &Parcel) -> Result<(), Error> {
    let (readings, waves) = parcel.days();
    let (readings, waves) = {
        let known = &link.memory().days;
        let new =
            |days: &BTreeSet<i32>, known: &BTreeSet<i32>| -> Vec<i32> { days.difference(known).copied().collect() };
        (new(&readings, &known.0), new(&waves, &known.1))
    };
    for (table, days) in [("reading", &readings), ("waveform", &waves)] {
        if !days.is_empty() {
            partitions::ensure_partitions(db, table, days.iter().copied()).await?;
        }
    }
    let known = &mut link.memory().days;
    known.0.extend(readings);
    known.1.extend(waves);
    Ok(())
}

/// The transaction, and what follows from it in memory.
async fn transaction(link: &Link, db: &ClientWrapper, parcel: &Parcel, progress: &Progress) -> Result<Written, Error> {
    let mut written = Written::default();
    let first = begin(link, db, parcel).await?;
    written.stored = first.stored;
    let known = parcel.rows.len() as u64 - first.stored;
    let mut change = first.change;
    change.rows = first.stored as i64;
    if known > 0 {
        let apart = apart(db, &parcel.rows, known, &mut written).await?;
        change.newest.clear();
        link.memory().newer(&parcel.rows, &apart, &mut change);
    }
    let mut late: BTreeSet<(i64, i32, i32)> = BTreeSet::new();
    if first.stored > 0 {
        late.extend(late_days(&parcel.rows, first.claimed));
    }
    let mut new = first.new;
    if !parcel.moves.is_empty() || !parcel.placed.is_empty() {
        let moved = moves::apply(db, parcel, &link.limits(), &mut written).await?;
        late.extend(late_days(&moved.rows, first.claimed));
        for (key, row) in (0..moved.rows.len()).map(|i| moved.rows.get(i)) {
            match row.quality {
                MOVED => drop(new.remove(&(key, row.at))),
                _ => drop(new.insert((key, row.at))),
            }
        }
        change.rows += moved.added as i64;
        moves::newest(link, db, &moved, &mut change).await?;
    }
    written.waves = beside::put_waves(db, parcel, link.limits().waveforms()).await?;
    written.origins = beside::put_origins(db, &parcel.originals, &new).await?;
    put_late(db, &late).await?;
    let progress = further(&link.memory().progress, progress);
    commit(link, db, &mut change, &progress).await?;
    let mut memory = link.memory();
    memory.count(&written);
    memory.settle(change, progress);
    Ok(written)
}

/// What the first half of a transaction answers.
struct First {
    /// Rows that are new.
    stored: u64,
    /// They themselves, only when origins want to know.
    new: HashSet<(Key, i64)>,
    claimed: i64,
    /// Newest readings, if all rows are new.
    change: Change,
}

/// Sends rows, and meanwhile finds out which are the newest of their series.
async fn begin(link: &Link, db: &ClientWrapper, parcel: &Parcel) -> Result<First, Error> {
    let Columns { at, value, subject, device, metric, quality } = &parcel.rows;
    let claimed = db.prepare_cached(CLAIMED).await?;
    let mut first = First { stored: 0, new: HashSet::new(), claimed: i64::MIN, change: Change::default() };
    let change = &mut first.change;
    let newest = async { link.memory().newer(&parcel.rows, &HashSet::new(), change) };
    if parcel.originals.is_empty() {
        let insert = db.prepare_cached(INSERT).await?;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] = [at, value, subject, device, metric, quality];
        let put = async { if parcel.rows.is_empty() { Ok(0) } else { db.execute(&insert, &values).await } };
        let (begun, claimed, stored, ()) =
            tokio::join!(biased; db.batch_execute("BEGIN"), db.query_one(&claimed, &[]), put, newest);
        begun?;
        first.claimed = claimed?.get::<_, Micros>(0).0;
        first.stored = stored?;
        return Ok(first);
    }
    let insert = db.prepare_cached(&format!("{INSERT} RETURNING subject, metric, ts")).await?;
    let (begun, claimed, rows, ()) = tokio::join!(
        biased;
        db.batch_execute("BEGIN"),
        db.query_one(&claimed, &[]),
        async { db.query(&insert, &[at, value, subject, device, metric, quality]).await },
        newest
    );
    begun?;
    first.claimed = claimed?.get::<_, Micros>(0).0;
    let rows = rows?;
    first.stored = rows.len() as u64;
    let key = |row: &tokio_postgres::Row| (row.get::<_, i64>(0) as Key) << 16 | row.get::<_, i32>(1) as Key;
    first.new = rows.iter().map(|row| (key(row), row.get::<_, Micros>(2).0)).collect();
    Ok(first)
}

/// Tells duplicates from conflicts among the `known` rows that were stored before; returns the positions of the latter.
async fn apart(db: &ClientWrapper, rows: &Columns, known: u64, written: &mut Written) -> Result<HashSet<usize>, Error> {
    let (from, to) = rows.span();
    let conflicts = db.prepare_cached(CONFLICTS).await?;
    let found =
        db.query(&conflicts, &[&rows.at, &rows.value, &rows.subject, &rows.metric, &rows.quality, &from, &to]).await?;
    written.conflict = found.len() as u64;
    written.duplicate = known.saturating_sub(written.conflict);
    Ok(found.iter().map(|row| row.get::<_, i64>(0) as usize - 1).collect())
}

/// Series and days of rows below the time that rollups cover.
fn late_days(rows: &Columns, claimed: i64) -> impl Iterator<Item = (i64, i32, i32)> {
    let late = (0..rows.len()).filter(move |i| rows.at[*i].0 < claimed);
    late.map(|i| (rows.subject[i], rows.metric[i], day_of(rows.at[i].0)))
}

async fn put_late(db: &ClientWrapper, late: &BTreeSet<(i64, i32, i32)>) -> Result<(), Error> {
    if late.is_empty() {
        return Ok(());
    }
    let subjects: Vec<i64> = late.iter().map(|(subject, _, _)| *subject).collect();
    let metrics: Vec<i32> = late.iter().map(|(_, metric, _)| *metric).collect();
    let days: Vec<i32> = late.iter().map(|(_, _, day)| *day).collect();
    let statement = db.prepare_cached(LATE).await?;
    db.execute(&statement, &[&subjects, &metrics, &days]).await?;
    Ok(())
}

/// The progress to keep: it never goes back.
fn further(known: &Progress, told: &Progress) -> Progress {
    if told.live < known.live { known.clone() } else { told.clone() }
}

/// The progress as it stands in `state`.
fn numbers(progress: &Progress) -> (i64, Vec<i64>) {
    let pairs = progress.pending.iter().flat_map(|(after, upto)| [after.0 as i64, upto.0 as i64]);
    (progress.live.0 as i64, pairs.collect())
}

/// Newest readings that fell out of reach of a start, the state, and the commit.
async fn commit(link: &Link, db: &ClientWrapper, change: &mut Change, progress: &Progress) -> Result<(), Error> {
    link.memory().plan(change);
    let gone: Vec<Key> = change.newest.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| *key).collect();
    if !gone.is_empty() {
        let subjects: Vec<i64> = gone.iter().map(|key| (key >> 16) as i64).collect();
        let metrics: Vec<i32> = gone.iter().map(|key| (key & 0xffff) as i32).collect();
        db.execute(&db.prepare_cached(GONE).await?, &[&subjects, &metrics]).await?;
    }
    // One row a series: what a series has twice is the same.
    let save: HashMap<Key, Row> = change.save.iter().copied().collect();
    let mut rows = Columns::default();
    for (key, row) in &save {
        rows.push(*key, row);
    }
    let Columns { at, value, subject, device, metric, quality } = &rows;
    let (latest, state) = (db.prepare_cached(LATEST).await?, db.prepare_cached(STATE).await?);
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] = [at, value, subject, device, metric, quality];
    let put = async { if rows.is_empty() { Ok(0) } else { db.execute(&latest, &values).await } };
    let (live, pending) = numbers(progress);
    let from = change.from.map(Micros);
    let (put, state, committed) = tokio::join!(
        biased;
        put,
        async { db.execute(&state, &[&live, &pending, &change.rows, &from]).await },
        db.batch_execute("COMMIT")
    );
    put?;
    state?;
    committed?;
    Ok(())
}
