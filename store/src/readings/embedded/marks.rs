//! What stays in the place of a row that was moved to another subject has no value ([`Row::mark`]). Marks that programs before
//! format 4 wrote have one in the file, and it is another person's: all of them are written anew once in the life of a file, before
//! the first person is deleted from it (`meta.blank`).
//!
//! Damaged blocks are left as they are: nobody can read their marks, `vigil doctor` names them.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use rusqlite::{Connection, TransactionBehavior, params};

use super::Error;
use super::block::{self, PLACE, Place};
use super::digest::{Digest, is_stream};
use super::heads::Heads;
use super::row::{Key, MOVED};
use super::side::{self, WITH_MOVED};
use super::writer::Writer;

/// Numbers of blocks looked through in one piece.
const BLOCKS_MAX: i64 = 256;

/// How far the marks of old programs are looked through.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blanking {
    Unknown,
    /// Blocks up to this number are done.
    After(i64),
    Done,
}

/// Whether no mark holds a value.
pub(super) fn are_blank(db: &Connection) -> Result<bool, Error> {
    Ok(db.query_row("SELECT blank FROM meta", [], |row| row.get(0))?)
}

/// Blocks with marks after the number `after` and up to `upto`, with their series.
pub(super) fn marked(db: &Connection, (after, upto): (i64, i64)) -> Result<Vec<(Place, Key)>, Error> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {PLACE}, series FROM block WHERE id > ?1 AND id <= ?2 AND kept = 0 AND substr(side, 1, 1) = ?3 ORDER BY id"
    ))?;
    let found = select
        .query_map(params![after, upto, [WITH_MOVED]], |row| Ok((block::place(row)?, row.get::<_, i64>(6)? as Key)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Whether what stood here in a series was moved away.
pub(super) fn is_mark(db: &Connection, key: Key, at: i64) -> Result<bool, Error> {
    let Some(place) = block::before(db, key, at, 1)?.first().copied() else { return Ok(false) };
    match block::load(db, &place) {
        Ok(rows) => Ok(rows.find(at).is_some_and(|row| row.quality == MOVED)),
        Err(Error::Corrupt { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Where marks stand in blocks: the metric and the instant, which a row has also where it went.
pub(super) fn places(db: &Connection) -> Result<BTreeSet<(u16, i64)>, Error> {
    let mut places = BTreeSet::new();
    for (place, key) in marked(db, (i64::MIN, i64::MAX))? {
        match block::load(db, &place) {
            Ok(rows) => {
                places.extend(rows.iter().filter(|row| row.quality == MOVED).map(|row| (key as u16, row.at)));
            }
            Err(Error::Corrupt { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(places)
}

impl Writer {
    /// Writes some of the blocks with marks anew. False when there was nothing left to do.
    pub(super) fn blank_some(&mut self, heads: &RwLock<Heads>, blanking: &mut Blanking) -> Result<bool, Error> {
        let after = match *blanking {
            Blanking::Done => return Ok(false),
            Blanking::Unknown if are_blank(&self.db)? => {
                *blanking = Blanking::Done;
                return Ok(false);
            }
            Blanking::Unknown => 0,
            Blanking::After(id) => id,
        };
        let upto = after + BLOCKS_MAX;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut changed = Vec::new();
        for (place, key) in marked(&tx, (after, upto))? {
            if let Some(more) = write_anew(&tx, key, &place)? {
                changed.push((key, more));
            }
        }
        let is_last = upto >= self.state.next_block;
        if is_last {
            tx.execute_batch("UPDATE series SET value = 0 WHERE quality = 255; UPDATE meta SET blank = 1;")?;
        }
        tx.commit()?;
        let mut heads = heads.write().unwrap_or_else(PoisonError::into_inner);
        for (key, more) in &changed {
            if let Some(number) = heads.find(*key) {
                heads.series[number as usize].block_bytes += more;
                self.state.forget_places(number);
            }
        }
        if !changed.is_empty() {
            self.state.cache.clear();
        }
        *blanking = if is_last { Blanking::Done } else { Blanking::After(upto) };
        Ok(true)
    }
}

/// The same rows under the same number, as this program writes them; by how many bytes the block grew.
fn write_anew(db: &Connection, key: Key, place: &Place) -> Result<Option<i64>, Error> {
    let rows = match block::load(db, place) {
        Ok(rows) => rows,
        Err(Error::Corrupt { what }) => {
            tracing::error!(what, "a damaged block of readings may hold values of others; say `vigil doctor`");
            return Ok(None);
        }
        Err(other) => return Err(other),
    };
    let digest = Digest::of(&rows, is_stream(key));
    let (data, side) = (block::encode(&rows)?, side::encode(&rows, &digest)?);
    let bytes = (data.len() + side.len()) as i64;
    block::delete(db, place.id)?;
    block::put(db, key, &Place { bytes, ..*place }, &digest, &side, &data)?;
    let more = bytes - place.bytes;
    db.execute("UPDATE series SET bytes = bytes + ?2 WHERE series = ?1", params![key as i64, more])?;
    Ok(Some(more))
}

#[cfg(test)]
mod tests {
    use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};

    use super::*;
    use crate::readings::row::{Row, Rows, key_of};
    use crate::readings::{Batch, Config, FILE, Moved, Readings};

    const VALUE: f64 = 148.37;

    /// The mark of the moved measurement as a program of format 3 sealed it: with its value.
    fn make_old(db: &Connection, key: Key) -> i64 {
        let (place, _) = marked(db, (0, i64::MAX)).unwrap()[0];
        let mark = block::load(db, &place).unwrap().get(0);
        let mut rows = Rows::default();
        rows.insert(Row { value: VALUE, ..mark });
        block::delete(db, place.id).unwrap();
        let bytes = block::insert(db, place.id, key, is_stream(key), &rows).unwrap();
        db.execute("UPDATE series SET bytes = ?2, value = ?3 WHERE series = ?1", params![key as i64, bytes, VALUE])
            .unwrap();
        db.execute("UPDATE meta SET blank = 0", []).unwrap();
        place.id
    }

    #[test]
    fn marks_of_an_old_file_lose_their_value_before_a_person_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Readings::open(dir.path(), &Config::default()).unwrap();
        let raw = || Connection::open(dir.path().join(FILE)).unwrap();
        let (from, to, device) = (Subject::Unattributed(DeviceId(7)), Subject::Elder(ElderId(2)), DeviceId(7));
        let sample = Sample::new(Metric::Systolic, Time(1_700_000_000_000_000), VALUE, Quality::Ok);
        let moves = vec![Moved { from, to, device, samples: vec![sample], waveforms: Vec::new() }];
        let rows = vec![Reading { subject: from, device, sample }];
        let store = open();
        store.write_batch(&Batch { rows, moves, ..Batch::default() }, Seq(1)).unwrap();
        store.seal_all().unwrap();
        drop(store);
        let id = make_old(&raw(), key_of(from, Metric::Systolic));
        let data =
            || raw().query_row("SELECT data FROM block WHERE id = ?1", [id], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        let old = data();
        let store = open();
        let (gone, proof) = store.forget_with_proof(to).unwrap();
        assert_eq!((gone.rows, proof.found_after), (1, 0), "{proof:?}");
        assert!(proof.found_before > 0, "{proof:?}");
        assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
        drop(store);
        let (place, _) = marked(&raw(), (0, i64::MAX)).unwrap()[0];
        let rows = block::load(&raw(), &place).unwrap();
        assert_eq!(rows.get(0), Row { at: sample.taken_at.0, value: 0.0, device: 7, quality: MOVED });
        assert_eq!(data(), block::encode(&rows).unwrap());
        assert_ne!(data(), old);
        assert!(are_blank(&raw()).unwrap());
        let newest: f64 = raw().query_row("SELECT value FROM series", [], |row| row.get(0)).unwrap();
        assert_eq!(newest.to_bits(), 0);
    }
}
