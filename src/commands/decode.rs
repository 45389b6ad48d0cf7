//! `vigil decode`: a frame of a device as one JSON object, or why it is refused.

use std::io::Read;

use anyhow::{Context, bail};
use codec::{Decoded, Framed, Framing, GlucoseUnit, Settings, TextEncoding};
use model::{Event, Sample};
use mqtt::{thingsboard, wire};
use runtime::Clock;
use serde_json::{Value, json};

use crate::cli;
use crate::server::say;

/// Longest frame read from a file or standard input, bytes.
const FRAME_BYTES_MAX: u64 = 1 << 20;

/// What comes over MQTT: Vigil's own frames and those of clients.
struct Feed {
    name: &'static str,
    about: &'static str,
    decode: fn(&[u8]) -> Result<Value, String>,
}

const FEEDS: &[Feed] = &[
    Feed { name: "vigil", about: "Vigil's own frames, JSON or CBOR", decode: vigil },
    Feed { name: "thingsboard", about: "ThingsBoard telemetry: {k:v}, {ts,values}, arrays", decode: things },
];

fn vigil(bytes: &[u8]) -> Result<Value, String> {
    let frame = wire::decode(bytes).map_err(|error| error.to_string())?;
    let device = json!({
        "epoch": frame.epoch,
        "seq": frame.seq,
        "gateway_time": frame.gateway_time,
        "unknown_metrics": frame.unknown_metrics,
    });
    Ok(answer(&frame.samples, &frame.events, &device))
}

fn things(bytes: &[u8]) -> Result<Value, String> {
    let told = thingsboard::decode(bytes, Clock::system().now()).map_err(|error| error.to_string())?;
    Ok(answer(&told.samples, &told.events, &json!({ "unknown_keys": told.unknown_keys })))
}

/// True when the frame decoded; otherwise `{"error":..}` was printed, whatever was wrong: the frame, the codec's name, the key.
pub fn decode(args: &cli::Decode) -> anyhow::Result<bool> {
    if args.list {
        for (name, about) in known() {
            say(&format!("{name:<16} {about}"));
        }
        return Ok(true);
    }
    let told = told(args);
    let decoded = told.is_ok();
    say(&told.unwrap_or_else(|error| json!({ "error": format!("{error:#}") })).to_string());
    Ok(decoded)
}

fn told(args: &cli::Decode) -> anyhow::Result<Value> {
    // Characteristics are written in both cases.
    let name = args.codec.as_deref().unwrap_or_default().to_ascii_lowercase();
    let told = if let Some(feed) = FEEDS.iter().find(|feed| feed.name == name) {
        (feed.decode)(&frame(args)?)
    } else if let Some(codec) = codec::find(&name) {
        device(codec, &frame(args)?, &settings(args)?)
    } else {
        let names: Vec<_> = known().map(|(name, _)| name).collect();
        bail!("there is no codec {name:?}; known: {}", names.join(", "));
    };
    told.map_err(anyhow::Error::msg)
}

fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    let devices = codec::CODECS.iter().copied().flatten().map(|codec| (codec.name, codec.about));
    FEEDS.iter().map(|feed| (feed.name, feed.about)).chain(devices)
}

/// The device's settings as a gateway's configuration would give them. A wrong key is not repeated in the error.
fn settings(args: &cli::Decode) -> anyhow::Result<Settings> {
    let now = Some(Clock::system().now());
    let mut settings = Settings { cgm_crc: args.cgm_crc, now, ..Settings::default() };
    if let Some(text) = &args.key {
        settings.key =
            Some(codec::key_of(text).context("--key wants 32 hexadecimal digits, or 24 of MiBeacon 2 and 3")?);
    }
    if let Some(text) = &args.address {
        settings.address = Some(codec::bytes_of(text).context("--address wants six bytes like A4:C1:38:56:53:84")?);
    }
    if let Some(minutes) = args.offset_min {
        settings.offset_min = minutes;
    }
    settings.glucose_unit = args.glucose_unit.map(|unit| match unit {
        cli::GlucoseUnit::MmolPerL => GlucoseUnit::MmolPerL,
        cli::GlucoseUnit::MgPerDl => GlucoseUnit::MgPerDl,
    });
    settings.clock = match args.clock {
        cli::DeviceClock::Protocol => codec::DeviceClock::Protocol,
        cli::DeviceClock::Local => codec::DeviceClock::Local,
        cli::DeviceClock::Utc => codec::DeviceClock::Utc,
    };
    if args.gb18030 {
        settings.text = TextEncoding::Gb18030;
    }
    Ok(settings)
}

/// Bytes of a device. A stream goes through the codec's framer first; when nothing in it decodes, the bytes are taken for one
/// frame, so that a frame without its line ends, or unescaped from a log, can be tried.
fn device(codec: &codec::Codec, bytes: &[u8], settings: &Settings) -> Result<Value, String> {
    let mut found = Vec::new();
    if let Framing::Stream(framer) = codec.framing {
        let mut framer = framer();
        framer.push(bytes, &mut found);
        framer.silent(&mut found);
    }
    let joined = join(codec, found, settings);
    if joined.frames > 0 {
        return joined.into_json();
    }
    let whole = join(codec, vec![Framed::Frame(bytes.to_vec())], settings);
    // What a framer found in the bytes says more about what is wrong with them.
    if whole.frames > 0 || joined.refused.is_empty() { whole.into_json() } else { joined.into_json() }
}

fn join(codec: &codec::Codec, found: Vec<Framed>, settings: &Settings) -> Joined {
    let mut joined = Joined::default();
    for item in found {
        match item {
            Framed::Frame(frame) => match (codec.decode)(&frame, settings) {
                Ok(decoded) => joined.add(decoded),
                Err(error) => joined.refused.push(error.to_string()),
            },
            Framed::Answer(bytes) => joined.reply.extend(bytes),
            Framed::Skipped { bytes, .. } => joined.skipped += bytes,
        }
    }
    joined
}

/// Several frames of one stream as one object.
#[derive(Default)]
struct Joined {
    whole: Option<Decoded>,
    frames: usize,
    reply: Vec<u8>,
    refused: Vec<String>,
    skipped: usize,
}

impl Joined {
    fn add(&mut self, mut next: Decoded) {
        self.frames += 1;
        self.reply.extend(next.reply.take().unwrap_or_default());
        let Some(whole) = &mut self.whole else {
            self.whole = Some(next);
            return;
        };
        whole.readings.append(&mut next.readings);
        whole.events.append(&mut next.events);
        whole.stored &= next.stored;
        let (device, later) = (&mut whole.device, next.device);
        device.id = later.id.or(device.id.take());
        device.person = later.person.or(device.person.take());
        device.position = later.position.or(device.position);
        device.clock = later.clock.or(device.clock);
        device.counter = later.counter.or(device.counter);
        device.other.extend(later.other);
    }

    /// The object, or the first error when no frame decoded.
    fn into_json(mut self) -> Result<Value, String> {
        let Some(mut whole) = self.whole else {
            return Err(self.refused.drain(..).next().unwrap_or_else(|| "no frame".to_owned()));
        };
        whole.reply = (!self.reply.is_empty()).then_some(self.reply);
        let other = &mut whole.device.other;
        if self.frames > 1 {
            other.insert("frames", self.frames.into());
        }
        if !self.refused.is_empty() {
            other.insert("refused_frames", self.refused.into());
        }
        if self.skipped > 0 {
            other.insert("skipped_bytes", self.skipped.into());
        }
        Ok(whole.to_json())
    }
}

fn frame(args: &cli::Decode) -> anyhow::Result<Vec<u8>> {
    if let Some(text) = &args.hex {
        return hex(text);
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

/// Hexadecimal digits; blanks, colons and dashes between bytes are allowed.
fn hex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_ascii_whitespace() && !matches!(c, ':' | '-')).collect();
    if let Some(other) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        bail!("--hex wants pairs of hexadecimal digits; {other:?} is none");
    }
    let nibble = |c: char| c.to_digit(16).unwrap_or_default() as u8;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        bail!("--hex wants pairs of hexadecimal digits; these are {}, one is missing", digits.len());
    }
    Ok(pairs.iter().map(|[high, low]| nibble(*high) << 4 | nibble(*low)).collect())
}

fn answer(samples: &[Sample], events: &[Event], device: &Value) -> Value {
    let readings: Vec<Value> = samples
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
    let events: Vec<Value> = events.iter().map(|event| json!({ "kind": event.kind.slug(), "at": event.at })).collect();
    json!({ "readings": readings, "events": events, "device": device, "reply_hex": Value::Null })
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn hexadecimal_digits_in_pairs() {
        for good in ["7b 7D", "7b:7d", "7B-7D\n"] {
            assert_eq!(hex(good).unwrap(), b"{}", "{good:?}");
        }
        for (bad, why) in [("7", "one is missing"), ("7g", "'g'"), ("0x7b", "'x'"), ("é0", "'é'")] {
            assert!(hex(bad).unwrap_err().to_string().contains(why), "{bad}");
        }
    }
}
