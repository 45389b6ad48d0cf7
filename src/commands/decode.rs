//! `vigil decode`: one frame of a device as JSON, or why it is refused.

use std::io::Read;

use anyhow::{Context, bail};
use model::{Event, Sample};
use mqtt::{thingsboard, wire};
use runtime::Clock;
use serde_json::{Value, json};

use crate::cli;
use crate::server::say;

/// Longest frame read from a file or standard input, bytes.
const FRAME_BYTES_MAX: u64 = 1 << 20;

/// One row a codec: its name, what it is, and how it decodes.
struct Codec {
    name: &'static str,
    about: &'static str,
    decode: fn(&[u8]) -> Result<Decoded, String>,
}

struct Decoded {
    samples: Vec<Sample>,
    events: Vec<Event>,
    device: Value,
}

const CODECS: &[Codec] = &[
    Codec { name: "vigil", about: "Vigil's own frames, JSON or CBOR", decode: vigil },
    Codec { name: "thingsboard", about: "ThingsBoard telemetry: {k:v}, {ts,values}, arrays", decode: things },
];

fn vigil(bytes: &[u8]) -> Result<Decoded, String> {
    let frame = wire::decode(bytes).map_err(|error| error.to_string())?;
    let device = json!({
        "epoch": frame.epoch,
        "seq": frame.seq,
        "gateway_time": frame.gateway_time,
        "unknown_metrics": frame.unknown_metrics,
    });
    Ok(Decoded { samples: frame.samples, events: frame.events, device })
}

fn things(bytes: &[u8]) -> Result<Decoded, String> {
    let told = thingsboard::decode(bytes, Clock::system().now()).map_err(|error| error.to_string())?;
    let device = json!({ "unknown_keys": told.unknown_keys });
    Ok(Decoded { samples: told.samples, events: told.events, device })
}

/// True when the frame decoded; otherwise `{"error":..}` was printed.
pub fn decode(args: &cli::Decode) -> anyhow::Result<bool> {
    if args.list {
        for codec in CODECS {
            say(&format!("{:<12} {}", codec.name, codec.about));
        }
        return Ok(true);
    }
    let name = args.codec.as_deref().unwrap_or_default();
    let Some(codec) = CODECS.iter().find(|codec| codec.name == name) else {
        let known: Vec<_> = CODECS.iter().map(|codec| codec.name).collect();
        bail!("there is no codec {name:?}; known: {}", known.join(", "));
    };
    let bytes = frame(args)?;
    match (codec.decode)(&bytes) {
        Ok(decoded) => {
            say(&answer(&decoded).to_string());
            Ok(true)
        }
        Err(error) => {
            say(&json!({ "error": error }).to_string());
            Ok(false)
        }
    }
}

fn frame(args: &cli::Decode) -> anyhow::Result<Vec<u8>> {
    if let Some(text) = &args.hex {
        return hex(text).context("--hex wants pairs of hexadecimal digits");
    }
    let Some(file) = &args.file else { bail!("give the frame with --hex HEX or as a file (- is standard input)") };
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(FRAME_BYTES_MAX).read_to_end(&mut bytes)?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        opened.take(FRAME_BYTES_MAX).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Hexadecimal digits, blanks allowed between bytes.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let nibble = |b: u8| char::from(b).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

fn answer(decoded: &Decoded) -> Value {
    let readings: Vec<Value> = decoded
        .samples
        .iter()
        .map(|sample| {
            json!({
                "metric": sample.metric,
                "value": sample.value(),
                "unit": sample.metric.info().unit,
                "taken_at": sample.taken_at,
                "quality": sample.quality.slug(),
            })
        })
        .collect();
    let events: Vec<Value> =
        decoded.events.iter().map(|event| json!({ "kind": event.kind.slug(), "at": event.at })).collect();
    json!({ "readings": readings, "events": events, "device": decoded.device, "reply_hex": Value::Null })
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn hexadecimal_digits_in_pairs() {
        assert_eq!(hex("7b 7D").unwrap(), b"{}");
        for bad in ["7", "7g", "0x7b"] {
            assert_eq!(hex(bad), None, "{bad}");
        }
    }
}
