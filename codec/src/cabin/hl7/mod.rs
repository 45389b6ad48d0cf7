//! `hl7`: results from laboratories, monitors and hospital systems: HL7 v2 ORU^R01 over MLLP, answered.
//!
//! A result (OBX) becomes a reading when OBX-3 has a code of the metric table (LOINC, ISO/IEEE 11073, or a known name where no
//! code system is used), its value is a number and its unit one of the metric's. Everything else stands in
//! `device.other.results`. Flags and reference ranges of the laboratory are not taken over: Vigil's rules judge.
//!
//! What cannot be used is answered (AE, AR) with the reason and gives no readings; the reason stands in `device.other.refused`.

mod ack;
mod framer;
mod message;

use ack::Verdict;
use message::{Message, Segment};
use model::{Metric, Quality};

use super::result::{RESULTS_MAX, Told, doubt_pressures, keep, put};
use super::{analyte, clock, text};
use crate::{Decoded, Framer, Malformed, Measured, Settings, Stamp, TextEncoding};

/// How monitors write "no value" into a numeric field: the mantissa of an 11073 FLOAT's NaN.
const NO_VALUE: &str = "8388607";

pub(super) fn framer() -> Box<dyn Framer> {
    Box::new(framer::BlockFramer::default())
}

/// Takes one message, with or without its MLLP frame.
pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let encoding = encoding(frame, settings.text);
    let text = text::decode(bare(frame), encoding);
    let message = Message::parse(&text)?;
    let (verdict, why, mut out) = match read(&message, settings) {
        Ok(out) => (Verdict::Taken, String::new(), out),
        Err(Refusal { verdict, why }) => {
            let mut out = Decoded::default();
            out.device.other.insert("refused", why.as_str().into());
            (verdict, why, out)
        }
    };
    out.device.id = sender(&message);
    out.reply = ack::answer(&message, verdict, &why).map(|answer| text::encode(&answer, encoding));
    Ok(out)
}

struct Refusal {
    verdict: Verdict,
    why: String,
}

fn refuse<T>(verdict: Verdict, why: &str) -> Result<T, Refusal> {
    Err(Refusal { verdict, why: why.to_owned() })
}

fn bare(frame: &[u8]) -> &[u8] {
    let frame = frame.strip_prefix(&[framer::VT]).unwrap_or(frame);
    let end = frame.iter().position(|byte| *byte == framer::FS).unwrap_or(frame.len());
    &frame[..end]
}

/// What MSH-18 says, else the setting. MSH itself is ASCII in both.
fn encoding(frame: &[u8], set: TextEncoding) -> TextEncoding {
    let line = bare(frame).split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mark = line.get(3).copied().unwrap_or(b'|');
    match line.split(|byte| *byte == mark).nth(17) {
        Some(said) if said.starts_with(b"UNICODE") || said.starts_with(b"UTF") => TextEncoding::Utf8,
        Some(said) if said.starts_with(b"GB") => TextEncoding::Gb18030,
        _ => set,
    }
}

/// Sending application and facility: the id of the other side.
fn sender(message: &Message<'_>) -> Option<String> {
    let header = message.header()?;
    let parts: Vec<String> = [3, 4].map(|field| header.text(field, 1)).into_iter().filter(|p| !p.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn read(message: &Message<'_>, settings: &Settings) -> Result<Decoded, Refusal> {
    let Some(header) = message.header() else { return refuse(Verdict::Rejected, "no MSH") };
    let kind = (header.component(9, 1), header.component(9, 2), header.component(9, 3));
    if !matches!(kind, ("ORU", "R01" | "", _) | (_, _, "ORU_R01")) {
        return refuse(Verdict::Rejected, "only ORU R01 is supported");
    }
    if matches!(header.component(11, 1), "T" | "D") {
        return refuse(Verdict::Rejected, "training and debugging messages are not for this place");
    }
    let mut out = Decoded::default();
    // The zone of MSH-7 is that of the message.
    let zone = header.field(7).find(['+', '-']).and_then(|at| clock::minutes_east(&header.field(7)[at..]));
    let offset = zone.unwrap_or(settings.offset_min);
    // When the message was written, which may be hours before it was sent: not the sender's clock of now.
    if let Some(written) = clock::compact(header.component(7, 1), offset).time() {
        out.device.other.insert("message_time", written.rfc3339().into());
    }
    let mut order = Order { stamp: Stamp::Silent, urine: false };
    let mut observations = 0;
    for segment in &message.segments {
        match segment.name {
            "PID" => person(segment, &mut out)?,
            "OBR" => {
                let urine = analyte::is_urine(segment.field(15));
                order = Order { stamp: clock::compact(segment.component(7, 1), offset), urine };
            }
            "SPM" => order.urine |= analyte::is_urine(segment.field(4)),
            "OBX" => {
                observations += 1;
                observation(segment, &order, offset, &mut out, settings)?;
            }
            _ => {}
        }
    }
    if observations == 0 {
        return refuse(Verdict::Unusable, "no OBX in the message");
    }
    if out.readings.len() > RESULTS_MAX {
        return refuse(Verdict::Unusable, "too many results in one message");
    }
    doubt_pressures(&mut out.readings);
    Ok(out)
}

/// The first identifier of PID-3, else PID-2. One message is about one person.
fn person(segment: &Segment<'_>, out: &mut Decoded) -> Result<(), Refusal> {
    let id = [segment.text(3, 1), segment.text(2, 1)].into_iter().find(|id| !id.is_empty());
    match (&out.device.person, id) {
        (Some(known), id) if id.as_ref() != Some(known) => {
            refuse(Verdict::Unusable, "more than one patient in the message")
        }
        (_, id) => {
            out.device.person = id;
            Ok(())
        }
    }
}

/// What OBR and SPM say about the results that follow.
struct Order {
    stamp: Stamp,
    urine: bool,
}

fn observation(
    segment: &Segment<'_>,
    order: &Order,
    offset: i16,
    out: &mut Decoded,
    settings: &Settings,
) -> Result<(), Refusal> {
    let stamp = match clock::compact(segment.component(14, 1), offset) {
        Stamp::Silent => order.stamp,
        said => said,
    };
    let value = value(segment);
    let (code, name) = (segment.text(3, 1), segment.text(3, 2));
    // A unit's code, or its text where the code is not known; OBX-6 is a coded field as well.
    let units = [segment.text(6, 1), segment.text(6, 2)];
    let metric = metric(segment).filter(|metric| !(order.urine && is_of_blood(*metric)));
    let mut written = units.iter().filter(|unit| !unit.is_empty());
    let unit = written.clone().find(|unit| metric.is_some_and(|m| super::spelling::find(m, unit, settings).is_some()));
    let told = Told {
        metric,
        code: &code,
        name: &name,
        value: &value,
        unit: unit.or_else(|| written.next()).map_or("", String::as_str),
        stamp,
    };
    let absent = |cause| metric.map(|metric| Measured::absent(metric, cause).stamped(stamp));
    let kept = match segment.field(11) {
        // Not obtained.
        "X" if metric.is_some() => {
            out.readings.extend(absent(Quality::MeasurementFailed));
            Ok(())
        }
        _ if value == NO_VALUE && metric.is_some() => {
            out.readings.extend(absent(Quality::SpecialValue));
            Ok(())
        }
        // Deleted, wrong, not asked, in the laboratory: no value of anybody.
        "D" | "W" | "N" | "I" | "O" | "X" => keep(out, &told),
        _ => put(out, &told, settings),
    };
    kept.map_err(|why| Refusal { verdict: Verdict::Unusable, why: why.to_string() })
}

const fn is_of_blood(metric: Metric) -> bool {
    matches!(metric, Metric::Glucose | Metric::UricAcid)
}

/// OBX-5 as one text: `5.6`, `<0.5`. Type SN has the comparator in component 1 and the number in component 2; FN, which is no
/// type of the standard, is written the same way. What is not one number keeps its marks and stays no reading.
fn value(segment: &Segment<'_>) -> String {
    let parts = [1, 2, 3].map(|component| segment.text(5, component));
    match (segment.field(2), segment.repeats(5), &parts) {
        ("SN" | "FN", 1, [sign, number, rest]) if rest.is_empty() && !number.is_empty() => format!("{sign}{number}"),
        (_, 1, [one, two, rest]) if two.is_empty() && rest.is_empty() => one.clone(),
        _ => segment.field(5).to_owned(),
    }
}

/// By code and system, then by the alternative one; by name only where neither is of a known system.
fn metric(segment: &Segment<'_>) -> Option<Metric> {
    let mut coded = false;
    for first in [1, 4] {
        let (code, system) = (segment.component(3, first), segment.component(3, first + 2));
        let is_loinc = matches!(system, "LN" | "LOINC") || analyte::looks_like_loinc(code);
        let is_mdc = system == "MDC" || (code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
        coded |= is_loinc || is_mdc;
        let found = match (is_loinc, is_mdc) {
            (true, _) => analyte::loinc(code),
            (_, true) => analyte::mdc(code),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    if coded {
        return None;
    }
    [1, 2, 4, 5].into_iter().find_map(|component| analyte::name(&segment.text(3, component)))
}
