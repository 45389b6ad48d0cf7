//! Every stream codec of the family: whole, byte by byte, beside its neighbour, behind dirt, and with flipped bits.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vigil_codec::Framed;

use super::{feed, frames, read};

/// What the device sends, and how many frames that is.
const STREAMS: &[(&str, &[u8], usize)] = &[
    ("astm", b"\x05\x021H|\\^&\r\x03E5\r\n\x022P|1|7\rR|1|GLU|5.6|mmol/L\r\x0323\r\n\x023L|1\r\x033C\r\n\x04", 1),
    (
        "hl7",
        b"\x0BMSH|^~\\&|M|W|||20260301081700||ORU^R01|42|P|2.6\rPID|1||7\rOBX|1|NM|8867-4^HR^LN||72|/min|||||F\r\x1C\r",
        1,
    ),
    ("serial:hbp9020", b"bp,00000000000000001001,2026/03/01,08:15,128, 96, 82, 71,0\r", 1),
    ("serial:hbp9020", b"\x02 260301 0815 128 82 71\x03", 1),
    ("serial:hbp9030", b"2026,03,01,08,15,00000000000000001001,0,128, 82, 71,0\r\n", 1),
    ("serial:bp500", b"\x02R1,1001,260301,081500,128,96,82,71,0\x03\x5A", 1),
    ("serial:tm2657", b"\x02A\x1EB\x1EC\x1ED\x1EE\x1ES128\x1EM 96\x1ED 82\x1EP 71\x1E\x03", 1),
    ("serial:scale", b"US,GS,+0071.000  kg\r\nST,GS,+0072.500  kg\r\n", 2),
    ("serial:gtech", b"\x02168.0,72.5,0,0,25.7\x03", 1),
    ("serial:gtech", b"\x1B@HEIGHT : 168.0 cm\r\nWEIGHT :\x00 72.5 kg\r\n", 2),
    ("serial:bcm-h10", b"\xA5\x5A\x09\x01\x37\x4D\x1D\x06\x90\x02\x6F\xB2", 1),
    ("serial:uriscan", b"\x02\r\nGLU +++\r\nBLD neg\r\n\x03", 1),
];

fn skipped(found: &[Framed]) -> usize {
    found.iter().map(|part| if let Framed::Skipped { bytes, .. } = part { *bytes } else { 0 }).sum()
}

#[test]
fn however_a_stream_is_cut_it_gives_the_same() {
    for (codec, stream, count) in STREAMS {
        let whole = feed(codec, &[stream]);
        assert_eq!(frames(&whole).len(), *count, "{codec}: {whole:?}");
        assert_eq!(skipped(&whole), 0, "{codec}: {whole:?}");
        for frame in frames(&whole) {
            read(codec, frame).unwrap_or_else(|why| panic!("{codec}: {why}"));
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(feed(codec, &bytes), whole, "{codec} byte by byte");
        for at in 0..stream.len() {
            assert_eq!(feed(codec, &[&stream[..at], &stream[at..]]), whole, "{codec} cut at {at}");
        }
        let twice = feed(codec, &[&[*stream, *stream].concat()]);
        assert_eq!(frames(&twice).len(), 2 * count, "{codec} beside its neighbour");
    }
}

#[test]
fn after_dirt_the_next_good_frame_is_found() {
    for (codec, stream, count) in STREAMS {
        for at in 1..stream.len() {
            // The head of a frame whose rest was lost, a line's end, then a good one.
            let found = feed(codec, &[&stream[..at], b"\r\n", stream]);
            let good = frames(&feed(codec, &[stream])).into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
            let last: Vec<_> = frames(&found).into_iter().rev().take(*count).rev().map(<[u8]>::to_vec).collect();
            assert_eq!(last, good, "{codec} after {at} bytes of a broken one: {found:?}");
        }
    }
}

/// One bit in a hundred bytes is wrong. Nothing hangs or panics; frames between the hits arrive.
#[test]
fn flipped_bits_cost_the_frames_they_hit() {
    for (number, (codec, stream, count)) in STREAMS.iter().enumerate() {
        const COPIES: usize = 200;
        let mut rng = SmallRng::seed_from_u64(number as u64);
        let mut bytes = stream.repeat(COPIES);
        for byte in &mut bytes {
            if rng.random_range(0..100) == 0 {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
        let found = feed(codec, &[&bytes]);
        let good: Vec<Vec<u8>> = frames(&feed(codec, &[stream])).into_iter().map(<[u8]>::to_vec).collect();
        let whole = frames(&found).into_iter().filter(|frame| good.iter().any(|good| good == frame)).count();
        // A stream of n bytes stays whole with 0.99^n; a hit can spoil its neighbour too. A third of that must arrive.
        let wanted = (COPIES * count) as f64 * 0.99_f64.powi(stream.len() as i32) / 3.0;
        assert!(whole as f64 >= wanted, "{codec}: {whole} of {} arrived, {wanted:.0} were to", COPIES * count);
        for frame in frames(&found) {
            // Refused or read, never a panic.
            let _ = read(codec, frame);
        }
    }
}

#[test]
fn a_line_without_an_end_is_bounded() {
    for (codec, stream, count) in STREAMS {
        let endless = vec![b'7'; 3 << 20];
        let begun = [&stream[..1], &endless].concat();
        let found = feed(codec, &[&begun, b"\r\n", stream]);
        assert!(frames(&found).len() >= *count, "{codec} after 3 MiB without an end");
        assert!(skipped(&found) > 0 || *codec == "hl7", "{codec}");
    }
}

/// A megabyte of the smallest records, people and segments is cut and refused or read, in one go.
#[test]
fn many_small_parts_are_bounded() {
    for part in ["R\r", "P|1|7\r", "O|1|7\r", "H|\\^&\r"] {
        let text = part.repeat(60_000 / part.len());
        let mut stream = b"\x05".to_vec();
        for number in 1_u8..=16 {
            let covered = [&[b'0' + number % 8], text.as_bytes(), b"\x03"].concat();
            let sum = covered.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
            stream.extend([b"\x02", covered.as_slice(), format!("{sum:02X}\r\n").as_bytes()].concat());
        }
        stream.push(4);
        let found = feed("astm", &[&stream]);
        assert!((1..=1_000).contains(&frames(&found).len()), "{part:?}: {}", frames(&found).len());
        assert!(read("astm", frames(&found)[0]).is_err() || part.starts_with('P'), "{part:?}");
    }
    let head = "MSH|^~\\&|M|W|||20260301081700||ORU^R01|42|P|2.6\r";
    for part in ["OBX|1|NM|8867-4^HR^LN||72|/min|||||F\r", "OBX\r", "OBX|1|NM|8867-4||8388607\r", "ZZZ\r"] {
        let message = [head, &part.repeat((1 << 19) / part.len())].concat();
        let refused = read("hl7", message.as_bytes()).map_or(true, |decoded| decoded.readings.is_empty());
        assert!(refused, "{part:?}");
    }
}
