//! The answer to a message (HL7 chapter 2, acknowledgement): original and enhanced mode.

use super::framer::{FS, VT};
use super::message::{Marks, Message, Segment};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// The message is of a supported kind and cannot be used.
    Unusable,
    /// Its kind is not supported.
    Rejected,
}

/// Longest field of the other side that is repeated in an answer, characters.
const ECHO_MAX: usize = 199;

/// The framed answer as text, or `None` where the other side wants none.
pub(super) fn answer(message: &Message<'_>, verdict: Verdict, why: &str) -> Option<String> {
    let header = message.header()?;
    let code = code(header, verdict)?;
    let Marks { field, component, repeat, escape, sub } = message.marks;
    let echo = |number: usize| header.field(number).chars().take(ECHO_MAX).collect::<String>();
    let id = echo(10);
    let (event, version) = (header.component(9, 2), echo(12));
    let f = field;
    let head = [
        format!("MSH{f}{component}{repeat}{escape}{sub}"),
        // Receiver and sender change places. There is no clock here: the sender's own time stands for the answer's.
        [echo(5), echo(6), echo(3), echo(4), echo(7)].join(&f.to_string()),
        String::new(),
        format!("ACK{component}{event}{component}ACK"),
        id.clone(),
        echo(11),
        version,
    ]
    .join(&f.to_string());
    // Text of ours has no delimiter in it.
    let told = if why.is_empty() { String::new() } else { format!("{f}{why}") };
    Some(format!("{}{head}\rMSA{f}{code}{f}{id}{told}\r{}\r", char::from(VT), char::from(FS)))
}

/// Enhanced mode is on when MSH-15 or MSH-16 says anything.
fn code(header: &Segment<'_>, verdict: Verdict) -> Option<&'static str> {
    let (accept, application) = (header.field(15), header.field(16));
    let wanted = |when: &str| match when {
        "AL" => true,
        "SU" => verdict == Verdict::Taken,
        "ER" => verdict != Verdict::Taken,
        _ => false,
    };
    if (accept.is_empty() && application.is_empty()) || wanted(application) {
        return Some(match verdict {
            Verdict::Taken => "AA",
            Verdict::Unusable => "AE",
            Verdict::Rejected => "AR",
        });
    }
    wanted(accept).then_some(match verdict {
        Verdict::Taken => "CA",
        Verdict::Unusable => "CE",
        Verdict::Rejected => "CR",
    })
}
