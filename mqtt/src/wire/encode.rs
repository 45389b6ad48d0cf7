//! Frame to bytes: what our gateway sends, and what tests and load generators make. Always with a checksum.

use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use minicbor::Encoder;
use model::{Origin, Quality, Sample, Time, Waveform};
use serde_json::json;

use super::extra::ENCODING;
use super::{VERSION, WireFrame};

/// JSON text of a frame.
pub fn encode_json(frame: &WireFrame) -> Vec<u8> {
    let mut out = String::with_capacity(64 + frame.samples.len() * 40);
    let gt = frame.gateway_time.millis();
    // Writing to a String cannot fail; the results carry nothing.
    let _ = write!(out, r#"{{"v":{VERSION},"e":{},"s":{},"gt":{gt},"f":{},"#, frame.epoch, frame.seq, frame.flags.0);
    if let Some(binding) = frame.binding {
        let _ = write!(out, r#""b":{binding},"#);
    }
    if let Some(ck) = frame.clock {
        let _ = write!(
            out,
            r#""ck":{{"d":{},"g":{},"q":{},"u":{}}},"#,
            ck.device,
            ck.gateway.millis(),
            ck.sync,
            ck.uncertainty_ms
        );
    }
    out.push_str(r#""m":["#);
    for (i, sample) in frame.samples.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let (info, (dt, n)) = (sample.metric.info(), distance(sample.taken_at, gt));
        let _ = write!(out, "{comma}[{},{dt},", info.mdc);
        // `{}` of an f64 is the shortest decimal that reads back as the same f64.
        let _ = match sample.value() {
            None => out.write_str("null"),
            Some(value) => write!(out, "{value}"),
        };
        let _ = write!(out, r#",{},"{}",{n}]"#, info.unit_mdc, sample.quality.slug());
    }
    out.push(']');
    if !frame.events.is_empty() {
        out.push_str(r#","ev":["#);
        for (i, event) in frame.events.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let (dt, n) = distance(event.at, gt);
            let _ = write!(out, r#"{comma}["{}",{dt},{n}]"#, event.kind.slug());
        }
        out.push(']');
    }
    json_extras(&mut out, frame);
    out.push(',');
    let sum = crc32c::crc32c(out.as_bytes());
    let _ = write!(out, r#""x":{sum}}}"#);
    out.into_bytes()
}

fn json_extras(out: &mut String, frame: &WireFrame) {
    // Plain data: a JSON value of it always exists.
    let mut field = |key: &str, value: serde_json::Value| _ = write!(out, r#","{key}":{value}"#);
    if let Some(person) = &frame.person {
        field("p", person.as_str().into());
    }
    if !frame.notes.is_empty() {
        field("nt", frame.notes.as_slice().into());
    }
    if !frame.origins.is_empty() {
        let row = |origin: &Origin| {
            let (raw, unit) = origin.raw.as_ref().map(|(raw, unit)| (raw.as_str(), unit.as_str())).unzip();
            json!([origin.index, raw, unit, origin.device_ms, origin.uncertainty_ms])
        };
        field("o", frame.origins.iter().map(row).collect());
    }
    if !frame.waveforms.is_empty() {
        let block = |wave: &Waveform| {
            json!({
                "mdc": wave.metric.info().mdc, "lead": wave.lead, "t0": wave.start.millis(),
                "hz": [wave.rate.samples, wave.rate.seconds], "scale": wave.scale, "offset": wave.offset,
                "enc": ENCODING, "data": BASE64_STANDARD.encode(wave.pack()),
            })
        };
        field("w", frame.waveforms.iter().map(block).collect());
    }
}

/// CBOR bytes of a frame.
pub fn encode_cbor(frame: &WireFrame) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(64 + frame.samples.len() * 24));
    // Writing to a Vec cannot fail; the results carry nothing.
    let _ = cbor(&mut e, frame);
    let mut out = e.into_writer();
    let sum = crc32c::crc32c(&out);
    let mut e = Encoder::new(&mut out);
    let _ = e.str("x").and_then(|e| e.u32(sum)).is_ok();
    out
}

type Result<T = ()> = std::result::Result<T, minicbor::encode::Error<std::convert::Infallible>>;
type Cbor = Encoder<Vec<u8>>;

fn cbor(e: &mut Cbor, frame: &WireFrame) -> Result {
    let gt = frame.gateway_time.millis();
    let optional = [
        frame.binding.is_some(),
        frame.clock.is_some(),
        !frame.events.is_empty(),
        frame.person.is_some(),
        !frame.notes.is_empty(),
        !frame.origins.is_empty(),
        !frame.waveforms.is_empty(),
    ];
    let fields = 7 + optional.into_iter().filter(|&given| given).count() as u64;
    e.map(fields)?.str("v")?.u64(VERSION)?.str("e")?.u32(frame.epoch)?.str("s")?.u64(frame.seq)?;
    e.str("gt")?.i64(gt)?.str("f")?.u8(frame.flags.0)?;
    if let Some(binding) = frame.binding {
        e.str("b")?.u64(binding)?;
    }
    if let Some(ck) = frame.clock {
        e.str("ck")?.map(4)?.str("d")?.i64(ck.device)?.str("g")?.i64(ck.gateway.millis())?.str("q")?.u32(ck.sync)?;
        e.str("u")?.u32(ck.uncertainty_ms)?;
    }
    e.str("m")?.array(frame.samples.len() as u64)?;
    for sample in &frame.samples {
        row(e, sample, gt)?;
    }
    if !frame.events.is_empty() {
        e.str("ev")?.array(frame.events.len() as u64)?;
        for event in &frame.events {
            let (dt, n) = distance(event.at, gt);
            e.array(3)?.str(event.kind.slug())?.i64(dt)?.u32(n)?;
        }
    }
    cbor_extras(e, frame)
}

fn cbor_extras(e: &mut Cbor, frame: &WireFrame) -> Result {
    if let Some(person) = &frame.person {
        e.str("p")?.str(person)?;
    }
    if !frame.notes.is_empty() {
        e.str("nt")?.array(frame.notes.len() as u64)?;
        for note in &frame.notes {
            e.str(note)?;
        }
    }
    if !frame.origins.is_empty() {
        e.str("o")?.array(frame.origins.len() as u64)?;
        for origin in &frame.origins {
            let (raw, unit) = origin.raw.as_ref().map(|(raw, unit)| (raw.as_str(), unit.as_str())).unzip();
            e.array(5)?.u16(origin.index)?.encode(raw)?.encode(unit)?;
            e.encode(origin.device_ms)?.encode(origin.uncertainty_ms)?;
        }
    }
    if !frame.waveforms.is_empty() {
        e.str("w")?.array(frame.waveforms.len() as u64)?;
        for wave in &frame.waveforms {
            e.map(8)?.str("mdc")?.u32(wave.metric.info().mdc)?.str("lead")?.u32(wave.lead)?;
            e.str("t0")?.i64(wave.start.millis())?;
            e.str("hz")?.array(2)?.u32(wave.rate.samples)?.u32(wave.rate.seconds)?;
            e.str("scale")?.f64(wave.scale)?.str("offset")?.f64(wave.offset)?;
            e.str("enc")?.str(ENCODING)?.str("data")?.bytes(&wave.pack())?;
        }
    }
    Ok(())
}

/// `[mdc, dt, value, unit, quality, n]`, without the tail that says nothing: n 0, then quality `ok`, then the own unit.
fn row(e: &mut Cbor, sample: &Sample, gt: i64) -> Result {
    let info = sample.metric.info();
    let (dt, n) = distance(sample.taken_at, gt);
    let plain = sample.quality == Quality::Ok;
    let parts = if n != 0 {
        6
    } else if plain {
        4
    } else {
        5
    };
    e.array(parts)?.u32(info.mdc)?.i64(dt)?;
    match sample.value() {
        None => e.null()?,
        Some(value) => number(e, value)?,
    };
    e.u32(info.unit_mdc)?;
    if parts > 4 {
        e.u8(sample.quality.id())?;
    }
    if parts > 5 {
        e.u32(n)?;
    }
    Ok(())
}

/// The shortest exact form: integer, decimal fraction with up to three decimals, or float64.
fn number(e: &mut Cbor, value: f64) -> Result<&mut Cbor> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.abs() < EXACT && value.fract() == 0.0 && (value != 0.0 || value.is_sign_positive()) {
        return e.i64(value as i64);
    }
    for (decimals, power) in [(-1_i8, 10.0), (-2, 100.0), (-3, 1_000.0)] {
        let mantissa = (value * power).round();
        if mantissa.abs() < EXACT && (mantissa / power).to_bits() == value.to_bits() {
            return e.tag(minicbor::data::IanaTag::Decimal)?.array(2)?.i8(decimals)?.i64(mantissa as i64);
        }
    }
    e.f64(value)
}

/// Milliseconds from the gateway's time, rounded towards the past, and the microseconds beyond them (`n`).
fn distance(at: Time, gt_ms: i64) -> (i64, u32) {
    (at.millis() - gt_ms, at.0.rem_euclid(1_000) as u32)
}
