//! Deleting one person's lines from the file of refused readings ([`REFUSED_FILE`](super::REFUSED_FILE)): each line is one entry of
//! the journal, and an entry is of one subject (a moved one of two).

use std::io::Result;
use std::path::Path;

use model::Subject;
use model::entry::Entry;

use super::refused::{Line, Next, clear, each_line};

/// Lines of the file, by what they say of one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    pub of_subject: u64,
    /// Nobody can say whose these are: they stay.
    pub unreadable: u64,
}

/// Counts the lines of a subject. Without a file there are none.
///
/// # Errors
/// The file is there and cannot be read.
pub fn count_refused(dir: &Path, subject: Subject) -> Result<Refused> {
    sift(dir, subject, |_| Ok(()))
}

/// Deletes the lines of a subject and overwrites the old file; the others stay as they are. Durable when it returns; after a crash
/// the old file or the new one is there, whole. No writer may be running.
///
/// # Errors
/// The directory cannot be read or written; the old file is then still there.
pub fn forget_refused(dir: &Path, subject: Subject) -> Result<Refused> {
    clear(dir)?;
    let found = count_refused(dir, subject)?;
    if found.of_subject == 0 {
        return Ok(found);
    }
    let mut next = Next::create(dir)?;
    let found = sift(dir, subject, |line| next.keep(line))?;
    next.take_place()?;
    Ok(found)
}

/// Reads the file line by line; lines that are not the subject's go to `keep`.
fn sift(dir: &Path, subject: Subject, mut keep: impl FnMut(&[u8]) -> Result<()>) -> Result<Refused> {
    let mut found = Refused::default();
    each_line(dir, |line| match is_of(line, subject) {
        Some(true) => {
            found.of_subject += 1;
            Ok(())
        }
        known => {
            found.unreadable += u64::from(known.is_none());
            keep(line)
        }
    })?;
    Ok(found)
}

/// `None`: the line cannot be read.
fn is_of(line: &[u8], subject: Subject) -> Option<bool> {
    match Line::of(line)?.entry()?.1 {
        Entry::Frame(frame) => Some(frame.subject == subject),
        Entry::Moved { from, frame } => Some(from == subject || frame.subject == subject),
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use model::entry::{Flags, Frame};
    use model::{DeviceId, ElderId, Extras, GatewayId, Lane, Metric, Quality, Sample, Seq, Time};

    use super::super::refused::NEXT_FILE;
    use super::super::{Aside, REFUSED_FILE};
    use super::*;

    fn subject(elder: u32) -> Subject {
        Subject::Elder(ElderId(elder))
    }

    fn frame(elder: u32) -> Frame {
        Frame {
            gateway: GatewayId(1),
            device: DeviceId(1),
            subject: subject(elder),
            lane: Lane::Vit,
            flags: Flags::default(),
            epoch: 1,
            seq: 1,
            received_at: Time(1),
            events: vec![],
            samples: vec![Sample::new(Metric::HeartRate, Time(1), 70.0, Quality::Ok)],
            extras: Extras::default(),
        }
    }

    #[test]
    fn one_persons_lines_go_and_the_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(forget_refused(dir.path(), subject(7)).unwrap(), Refused::default(), "without a file");
        let aside = Aside::in_dir(dir.path());
        let put = |seq: u64, entry: &Entry| {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            aside.put(Seq(seq), &bytes, "test", Time(seq as i64)).unwrap();
        };
        put(1, &Entry::Frame(frame(7)));
        put(2, &Entry::Frame(frame(8)));
        put(3, &Entry::Moved { from: subject(7), frame: frame(9) });
        put(4, &Entry::Moved { from: subject(9), frame: frame(7) });
        aside.put(Seq(5), b"nothing that decodes", "test", Time(5)).unwrap();
        put(6, &Entry::Frame(frame(9)));
        let path = dir.path().join(REFUSED_FILE);
        let before = std::fs::read_to_string(&path).unwrap();
        let linked = dir.path().join("same");
        std::fs::hard_link(&path, &linked).unwrap();
        let expected = Refused { of_subject: 3, unreadable: 1 };
        assert_eq!(count_refused(dir.path(), subject(7)).unwrap(), expected);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "counting changes nothing");
        // Left by a crash in the middle.
        std::fs::write(dir.path().join(NEXT_FILE), "half").unwrap();
        assert_eq!(forget_refused(dir.path(), subject(7)).unwrap(), expected);
        let kept: Vec<&str> = [1, 4, 5].iter().filter_map(|place| before.lines().nth(*place)).collect();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().collect::<Vec<_>>(), kept);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let old = std::fs::read(&linked).unwrap();
        assert!(old.len() == before.len() && old.iter().all(|byte| *byte == 0), "overwritten");
        assert_eq!(forget_refused(dir.path(), subject(7)).unwrap(), Refused { of_subject: 0, unreadable: 1 });
        std::fs::write(dir.path().join(NEXT_FILE), "half").unwrap();
        assert_eq!(forget_refused(dir.path(), subject(7)).unwrap().of_subject, 0);
        assert!(!dir.path().join(NEXT_FILE).exists(), "it may hold the person's lines");
    }
}
