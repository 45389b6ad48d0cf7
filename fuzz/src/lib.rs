//! What the targets of the codecs share: `codec!("ble:2a35");` is a whole target.

use vigil_codec::{CODECS, Codec, Framed, Framing, Settings};

/// A fuzz target for one codec: its file needs `#![no_main]` and this line.
#[macro_export]
macro_rules! codec {
    ($name:literal) => {
        ::libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::decode($name, input));
    };
}

/// The input as one frame, and for a stream also through the framer, cut in two places that the input chooses.
pub fn decode(name: &str, input: &[u8]) {
    let codec = CODECS.iter().copied().flatten().find(|codec| codec.name == name).expect("a codec of this name");
    let settings = Settings { key: Some([0x5A; 16]), address: Some([1, 2, 3, 4, 5, 6]), ..Settings::default() };
    check(codec, input, &settings);
    let Framing::Stream(framer) = codec.framing else { return };
    let (mut framer, mut found) = (framer(), Vec::new());
    let cut = input.first().map_or(0, |first| usize::from(*first)).min(input.len());
    let (head, tail) = input.split_at(cut);
    framer.push(head, &mut found);
    framer.push(tail, &mut found);
    framer.silent(&mut found);
    for part in found {
        if let Framed::Frame(frame) = part {
            check(codec, &frame, &settings);
        }
    }
}

fn check(codec: &Codec, frame: &[u8], settings: &Settings) {
    if let Ok(decoded) = (codec.decode)(frame, settings) {
        assert!(decoded.readings.iter().all(|reading| reading.value.is_none_or(f64::is_finite)));
        let _ = decoded.to_json().to_string();
    }
}
