//! Published frames as streams: whole, byte by byte, glued to their neighbour, and damaged.

use std::collections::BTreeSet;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vigil_codec::{Codec, Framed, Framing, Settings};

use super::{bytes, codec, framed};
use crate::vectors::rows;

const FILES: &[(&str, &str)] = &[
    ("watch_3g.jsonl", "watch3g"),
    ("trv_iw.jsonl", "iw"),
    ("gt06.jsonl", "gt06"),
    ("h02.jsonl", "h02"),
    ("jt808.jsonl", "jt808"),
];
/// Several frames in one row; without their ends; unescaped with delimiters in them.
const NOT_ON_THE_WIRE: &[&str] = &["watch-L45", "gt06-L266", "gt06-L538", "jt808-L183", "jt808-L361", "jt808-L409"];
/// Streams with damage a codec.
const DAMAGED: u32 = 2_000;
/// Bytes flipped in a damaged frame, percent; at least one.
const FLIPPED_PERCENT: usize = 1;

/// The rows that are frames as they stand on the wire; and the ids of those that are not.
fn wire(file: &str, name: &str) -> Option<(Vec<Vec<u8>>, BTreeSet<String>)> {
    let codec = codec(name);
    let (mut good, mut other) = (Vec::new(), BTreeSet::new());
    for (id, row) in rows(file)? {
        let mut frame = bytes(&row);
        // The upstream's tests of this protocol leave the end mark out.
        if name == "iw" && !frame.ends_with(b"#") {
            frame.push(b'#');
        }
        if self_contained(codec, &frame) {
            good.push(frame);
        } else {
            other.insert(id);
        }
    }
    Some((good, other))
}

/// The framer finds the frame at its start without waiting for what comes behind it.
fn self_contained(codec: &Codec, frame: &[u8]) -> bool {
    let Framing::Stream(new) = codec.framing else { return false };
    let mut found = Vec::new();
    new().push(frame, &mut found);
    // Of binary H02 frames the first 32 bytes are the frame; behind text stands a line end.
    let rest = match found.as_slice() {
        [Framed::Frame(one)] => frame.strip_prefix(one.as_slice()),
        _ => None,
    };
    rest.is_some_and(|rest| rest.trim_ascii().is_empty() || frame.starts_with(b"$"))
}

#[test]
fn a_frame_is_the_same_however_it_is_cut() {
    for (file, name) in FILES {
        let Some(rows) = rows(file) else { return };
        for (id, row) in rows {
            let frame = bytes(&row);
            let whole = framed(codec(name), [frame.as_slice()]);
            assert_eq!(framed(codec(name), frame.chunks(1)), whole, "{id}");
            assert_eq!(framed(codec(name), frame.chunks(7)), whole, "{id}");
        }
    }
}

#[test]
fn two_frames_in_one_read_are_two_frames() {
    let mut listed: BTreeSet<String> = NOT_ON_THE_WIRE.iter().map(|id| (*id).to_owned()).collect();
    for (file, name) in FILES {
        let Some((good, other)) = wire(file, name) else { return };
        for id in &other {
            assert!(listed.remove(id), "{id} is not a frame as on the wire");
        }
        for pair in good.windows(2) {
            let alone: Vec<_> = pair.iter().flat_map(|frame| framed(codec(name), [frame.as_slice()])).collect();
            let glued = pair.concat();
            assert_eq!(framed(codec(name), [glued.as_slice()]), alone);
            assert_eq!(framed(codec(name), glued.chunks(1)), alone);
        }
    }
    assert!(listed.is_empty(), "{listed:?}");
}

#[test]
fn after_damage_the_next_good_frames_are_found() {
    for (file, name) in FILES {
        let Some((good, _)) = wire(file, name) else { return };
        let codec = codec(name);
        let mut rng = SmallRng::seed_from_u64(61);
        let (mut next, mut decoded) = (0, 0);
        for _ in 0..DAMAGED {
            let [mut damaged, first, second] = [(); 3].map(|()| good[rng.random_range(0..good.len())].clone());
            for _ in 0..(damaged.len() * FLIPPED_PERCENT / 100).max(1) {
                let at = rng.random_range(0..damaged.len());
                damaged[at] ^= 1 << rng.random_range(0..8);
            }
            let stream = [damaged.as_slice(), &first, &second].concat();
            let found = framed(codec, [stream.as_slice()]);
            let wanted = |frame: &[u8]| framed(codec, [frame]).pop().unwrap();
            assert_eq!(found.last(), Some(&wanted(&second)), "{name}: {}", vigil_codec::hex(&damaged));
            next += u32::from(found.len() >= 2 && found[found.len() - 2] == wanted(&first));
            decoded += found.iter().filter(|frame| (codec.decode)(frame, &Settings::default()).is_ok()).count();
        }
        assert!(decoded as u32 >= 2 * DAMAGED - DAMAGED / 10, "{name}: {decoded} decoded");
        assert!(
            next >= DAMAGED - DAMAGED / 20,
            "{name}: the frame behind the damage was found {next} times of {DAMAGED}"
        );
    }
}
