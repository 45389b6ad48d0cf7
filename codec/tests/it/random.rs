//! Every codec against bytes that nobody meant: random, truncated, bit-flipped and glued frames. No panic, no value that is
//! not a number, and a framer that gives the same frames however the stream is cut.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vigil_codec::{CODECS, Codec, Decoded, Framed, Framer, Framing, Settings};

use crate::samples;

/// Frames a codec gets.
const FRAMES: u32 = 10_000;
const LONGEST_RANDOM: usize = 96;

fn codecs() -> impl Iterator<Item = &'static Codec> {
    CODECS.iter().copied().flatten()
}

fn sound(decoded: &Decoded, codec: &Codec) {
    for reading in &decoded.readings {
        assert!(reading.value.is_none_or(f64::is_finite), "{}: {reading:?}", codec.name);
        assert_eq!(reading.value.is_some(), reading.quality.has_value(), "{}: {reading:?}", codec.name);
    }
    // What people and links look at must not fail either.
    let _ = decoded.to_json().to_string();
}

fn decode(codec: &Codec, frame: &[u8], settings: &Settings) {
    match (codec.decode)(frame, settings) {
        Ok(decoded) => sound(&decoded, codec),
        Err(malformed) => assert!(!malformed.to_string().is_empty()),
    }
}

fn random_bytes(rng: &mut SmallRng) -> Vec<u8> {
    (0..rng.random_range(0..LONGEST_RANDOM)).map(|_| rng.random()).collect()
}

fn flip(rng: &mut SmallRng, frame: &mut [u8]) {
    for _ in 0..rng.random_range(1..=8) {
        let at = rng.random_range(0..frame.len().max(1));
        if let Some(byte) = frame.get_mut(at) {
            *byte ^= 1 << rng.random_range(0..8);
        }
    }
}

/// Something made of good frames, or of nothing.
fn mutated(rng: &mut SmallRng, seeds: &[&[u8]]) -> Vec<u8> {
    let seed = seeds[rng.random_range(0..seeds.len())];
    let mut frame = seed.to_vec();
    match rng.random_range(0..5) {
        0 => return random_bytes(rng),
        1 => frame.truncate(rng.random_range(0..=seed.len())),
        2 => flip(rng, &mut frame),
        3 => {
            flip(rng, &mut frame);
            frame.truncate(rng.random_range(0..=seed.len()));
        }
        _ => {
            let other = seeds[rng.random_range(0..seeds.len())];
            frame.truncate(rng.random_range(0..=seed.len()));
            frame.extend_from_slice(&other[rng.random_range(0..=other.len())..]);
        }
    }
    frame
}

/// Frames and answers; how skipped bytes are cut into notices is left open.
fn framed(framer: &mut dyn Framer, pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<Framed> {
    let mut found = Vec::new();
    for piece in pieces {
        framer.push(piece.as_ref(), &mut found);
    }
    framer.silent(&mut found);
    found.retain(|part| !matches!(part, Framed::Skipped { .. }));
    found
}

#[test]
fn every_codec_has_a_sample_and_decodes_it() {
    for codec in codecs() {
        assert!(samples::all().any(|sample| sample.codec == codec.name), "{} has no sample frame", codec.name);
    }
    for sample in samples::all() {
        let codec = vigil_codec::find(sample.codec).unwrap_or_else(|| panic!("no codec {}", sample.codec));
        let decoded = (codec.decode)(sample.frame, &sample.settings());
        sound(&decoded.unwrap_or_else(|why| panic!("{}: {why}", sample.codec)), codec);
    }
}

#[test]
fn ten_thousand_bad_frames_a_codec() {
    for (number, codec) in codecs().enumerate() {
        let mut rng = SmallRng::seed_from_u64(number as u64);
        let of_codec: Vec<_> = samples::all().filter(|sample| sample.codec == codec.name).collect();
        let seeds: Vec<&[u8]> = of_codec.iter().map(|sample| sample.frame).collect();
        let settings: Vec<Settings> = of_codec.iter().map(samples::Sample::settings).collect();
        for _ in 0..FRAMES {
            let frame = mutated(&mut rng, &seeds);
            let settings = &settings[rng.random_range(0..settings.len())];
            decode(codec, &frame, settings);
            let Framing::Stream(new) = codec.framing else { continue };
            let whole = framed(&mut *new(), std::iter::once(&frame));
            let split = framed(&mut *new(), frame.iter().map(std::slice::from_ref));
            assert_eq!(whole, split, "{}: {}", codec.name, vigil_codec::hex(&frame));
            for part in &whole {
                if let Framed::Frame(frame) = part {
                    decode(codec, frame, settings);
                }
            }
        }
    }
}

#[test]
fn every_codec_has_a_fuzz_target() {
    let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for codec in codecs() {
        let target = codec.name.replace(':', "_");
        assert!(manifest.contains(&format!("name = \"{target}\"\n")), "fuzz/Cargo.toml has no target {target}");
        let file = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/codec/{target}.rs"))).unwrap();
        assert!(file.contains(&format!("codec!(\"{}\")", codec.name)), "{target}.rs is not about {}", codec.name);
    }
}
