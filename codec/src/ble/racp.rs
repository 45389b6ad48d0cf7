//! The Record Access Control Point (2A52): how stored records are asked for, and how the meter ends its answer. Glucose
//! Service 1.0.1; used by the link, which keeps the last sequence number it has stored.

use crate::Malformed;

const REPORT: u8 = 1;
const ABORT: u8 = 3;
const COUNT: u8 = 4;
const COUNT_IS: u8 = 5;
const RESPONSE: u8 = 6;

const NO_OPERATOR: u8 = 0;
const ALL_RECORDS: u8 = 1;
const AT_LEAST: u8 = 3;
const LAST_RECORD: u8 = 6;
/// The operand is a sequence number.
const BY_SEQUENCE: u8 = 1;

/// What the link writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// All records.
    All,
    /// Records whose sequence number is this one or above.
    From(u16),
    /// How many records `From` would bring.
    CountFrom(u16),
    /// The newest record alone.
    Last,
    Abort,
}

/// What the meter indicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Number of records, answer to [`Request::CountFrom`].
    Count(u32),
    /// End of the procedure whose op code is `request`.
    End { request: u8, outcome: Outcome },
}

/// How a procedure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    OpCodeNotSupported,
    InvalidOperator,
    OperatorNotSupported,
    InvalidOperand,
    NoRecordsFound,
    AbortUnsuccessful,
    NotCompleted,
    OperandNotSupported,
    /// A code that the service does not define.
    Other(u8),
}

impl Request {
    /// The value to write.
    pub fn to_bytes(self) -> Vec<u8> {
        let by_sequence = |op: u8, first: u16| {
            let [low, high] = first.to_le_bytes();
            vec![op, AT_LEAST, BY_SEQUENCE, low, high]
        };
        match self {
            Self::All => vec![REPORT, ALL_RECORDS],
            Self::From(first) => by_sequence(REPORT, first),
            Self::CountFrom(first) => by_sequence(COUNT, first),
            Self::Last => vec![REPORT, LAST_RECORD],
            Self::Abort => vec![ABORT, NO_OPERATOR],
        }
    }
}

/// Reads an indication of 2A52.
pub fn response(frame: &[u8]) -> Result<Response, Malformed> {
    match frame {
        [COUNT_IS, NO_OPERATOR, count @ ..] => {
            let count = match count {
                [a] => u32::from(*a),
                [a, b] => u32::from(u16::from_le_bytes([*a, *b])),
                [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
                _ => return Err(Malformed::Short("the number of records")),
            };
            Ok(Response::Count(count))
        }
        [RESPONSE, NO_OPERATOR, request, code, ..] => {
            Ok(Response::End { request: *request, outcome: Outcome::of(*code) })
        }
        [RESPONSE, ..] => Err(Malformed::Short("the response code")),
        _ => Err(Malformed::shape("not an answer of a record access control point")),
    }
}

impl Outcome {
    const fn of(code: u8) -> Self {
        match code {
            1 => Self::Success,
            2 => Self::OpCodeNotSupported,
            3 => Self::InvalidOperator,
            4 => Self::OperatorNotSupported,
            5 => Self::InvalidOperand,
            6 => Self::NoRecordsFound,
            7 => Self::AbortUnsuccessful,
            8 => Self::NotCompleted,
            9 => Self::OperandNotSupported,
            other => Self::Other(other),
        }
    }
}
