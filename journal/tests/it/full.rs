//! When a limit is reached: pushed back at once, nothing discarded, the last eighth for urgent entries.

use std::sync::mpsc::{Receiver, sync_channel};

use journal::{AppendError, Config, ENTRY_OVERHEAD, Journal};
use model::Seq;

use crate::append::{SOON, read_all};

const SMALL: u64 = 64 * 1024;
/// One entry as stored: a 64th of a limit.
const ENTRY: usize = SMALL as usize / 64 - ENTRY_OVERHEAD;

fn urgent(journal: &Journal) -> Receiver<Result<Seq, AppendError>> {
    let (told, answers) = sync_channel(1);
    journal.append_urgent(vec![vec![1; ENTRY]], move |outcome| told.send(outcome).unwrap());
    answers
}

#[test]
fn a_full_disk_share_refuses_ordinary_entries_and_then_urgent_ones() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { bytes_max: SMALL, ..Config::default() };
    let journal = Journal::open(dir.path(), "journal", &config).unwrap();
    for n in 1..=56 {
        assert!(!journal.pressure().full, "at entry {n}");
        assert_eq!(journal.append_blocking(vec![vec![0; ENTRY]]), Ok(Seq(n)));
    }
    assert!(journal.pressure().full, "7/8 are used");
    assert_eq!(journal.append_blocking(vec![vec![0; ENTRY]]), Err(AppendError::Full));
    for n in 57..=64 {
        assert_eq!(urgent(&journal).recv_timeout(SOON).unwrap(), Ok(Seq(n)));
    }
    assert_eq!(urgent(&journal).recv_timeout(SOON).unwrap(), Err(AppendError::Full));
    assert_eq!(read_all(&journal, Seq(0)).len(), 64, "nothing was discarded");
    assert_eq!(journal.stats().refused, 2);

    journal.close();
    let journal = Journal::open(dir.path(), "journal", &config).unwrap();
    assert_eq!(journal.pressure().disk_bytes, SMALL, "what is kept is known again after a restart");
    assert_eq!(urgent(&journal).recv_timeout(SOON).unwrap(), Err(AppendError::Full));
}

#[test]
fn a_full_queue_refuses_at_once_and_keeps_a_reserve() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { queue_bytes_max: SMALL as usize, ..Config::default() };
    let journal = Journal::open(dir.path(), "journal", &config).unwrap();
    // The writer is held inside a completion, so that nothing leaves the queue.
    let (release, released) = sync_channel::<()>(0);
    let (held, is_held) = sync_channel(1);
    journal.append(vec![vec![0; 1]], move |_| {
        held.send(()).unwrap();
        released.recv().unwrap();
    });
    is_held.recv_timeout(SOON).unwrap();
    let (told, answers) = sync_channel(1000);
    for _ in 0..57 {
        let told = told.clone();
        journal.append(vec![vec![0; ENTRY]], move |outcome| told.send(outcome).unwrap());
    }
    assert_eq!(answers.try_recv().unwrap(), Err(AppendError::Full), "the 57th, while the others still wait");
    assert!(answers.try_recv().is_err());
    assert!(journal.pressure().full);
    let sos = urgent(&journal);
    assert!(sos.try_recv().is_err(), "taken into the queue");
    release.send(()).unwrap();
    for n in 2..=57 {
        assert_eq!(answers.recv_timeout(SOON).unwrap(), Ok(Seq(n)));
    }
    assert_eq!(sos.recv_timeout(SOON).unwrap(), Ok(Seq(58)));
    assert_eq!(journal.append_blocking(vec![vec![0; ENTRY]]), Ok(Seq(59)), "and there is room again");
}

#[test]
fn what_could_never_fit_is_told_apart_from_what_has_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { queue_bytes_max: SMALL as usize, ..Config::default() };
    let journal = Journal::open(dir.path(), "journal", &config).unwrap();
    let outcome = journal.append_blocking(vec![vec![0; SMALL as usize]]);
    assert_eq!(outcome, Err(AppendError::TooLarge { bytes: SMALL + 8, max: SMALL / 8 * 7 }));
    assert_eq!(journal.append_blocking(vec![vec![0; SMALL as usize / 2]]), Ok(Seq(1)));
}

#[test]
fn a_nearly_full_disk_takes_only_urgent_entries() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { disk_free_bytes_min: u64::MAX, ..Config::default() };
    let journal = Journal::open(dir.path(), "journal", &config).unwrap();
    // The writer looks at the disk before it does anything else.
    journal.register_cursor("any").unwrap();
    assert_eq!(journal.append_blocking(vec![vec![0; ENTRY]]), Err(AppendError::Full));
    assert_eq!(urgent(&journal).recv_timeout(SOON).unwrap(), Ok(Seq(1)));
}
