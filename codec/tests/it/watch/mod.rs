//! Watches and pendants: published vectors, nasty cases, and streams cut in all ways.

mod forms;
mod known;
mod nasty;
mod replies;
mod streams;
mod tallies;

use serde_json::Value;
use vigil_codec::{Codec, Decoded, Framed, Framing, Settings};

use crate::vectors::unhex;

pub(crate) fn codec(name: &str) -> &'static Codec {
    vigil_codec::find(name).unwrap_or_else(|| panic!("no codec {name}"))
}

/// Everything the codec's framer finds in `pieces`, silence after them included.
pub(crate) fn framed<'a>(codec: &Codec, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let Framing::Stream(new) = codec.framing else { panic!("{} has no framer", codec.name) };
    let (mut framer, mut found) = (new(), Vec::new());
    for piece in pieces {
        framer.push(piece, &mut found);
    }
    framer.silent(&mut found);
    let frame = |part| if let Framed::Frame(bytes) = part { Some(bytes) } else { None };
    found.into_iter().filter_map(frame).collect()
}

/// The frames of a row, as a connection would give them; the row itself when no whole frame is in it.
pub(crate) fn frames(codec: &Codec, bytes: &[u8]) -> Vec<Vec<u8>> {
    let found = framed(codec, [bytes]);
    if found.is_empty() { vec![bytes.to_vec()] } else { found }
}

pub(crate) fn decode(name: &str, bytes: &[u8]) -> Decoded {
    let codec = codec(name);
    let frames = frames(codec, bytes);
    assert_eq!(frames.len(), 1, "one frame in {}", String::from_utf8_lossy(bytes));
    (codec.decode)(&frames[0], &Settings::default()).unwrap_or_else(|why| panic!("{why}"))
}

pub(crate) fn bytes(row: &Value) -> Vec<u8> {
    unhex(row["hex"].as_str().unwrap())
}

pub(crate) fn kinds(decoded: &Decoded) -> Vec<&'static str> {
    decoded.events.iter().map(|event| event.kind.slug()).collect()
}

/// Value of the only reading of a metric.
pub(crate) fn value(decoded: &Decoded, metric: model::Metric) -> Option<f64> {
    let mut of_metric = decoded.readings.iter().filter(|reading| reading.metric == metric);
    let first = of_metric.next()?;
    assert!(of_metric.next().is_none(), "{metric} twice");
    first.value
}
