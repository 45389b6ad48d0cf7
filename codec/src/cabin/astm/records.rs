//! Records of LIS2-A2 (ASTM E1394): fields, repeats and components, with the delimiters that the header names.

use std::borrow::Cow;

use serde_json::Value;

/// Records read of one frame.
pub(super) const RECORDS_MAX: usize = 10_000;

/// People in one message, and bytes of a header that is repeated for each: they bound what a message is cut into.
const PEOPLE_MAX: usize = 1_000;
const HEADER_MAX: usize = 1_024;

/// The delimiters: field, repeat, component, escape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delimiters {
    field: char,
    repeat: char,
    component: char,
    escape: char,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self { field: '|', repeat: '\\', component: '^', escape: '&' }
    }
}

impl Delimiters {
    /// As the header record names them: `H|\^&`.
    pub(super) fn of(text: &str) -> Self {
        let mut marks = text.strip_prefix('H').into_iter().flat_map(str::chars);
        match (marks.next(), marks.next(), marks.next(), marks.next()) {
            (Some(field), Some(repeat), Some(component), Some(escape)) => Self { field, repeat, component, escape },
            _ => Self::default(),
        }
    }

    fn unescape<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !text.contains(self.escape) {
            return Cow::Borrowed(text);
        }
        let marks = [("F", self.field), ("S", self.component), ("R", self.repeat), ("E", self.escape)];
        let plain = marks.iter().fold(text.to_owned(), |text, (name, mark)| {
            text.replace(&format!("{0}{name}{0}", self.escape), &mark.to_string())
        });
        Cow::Owned(plain)
    }
}

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    marks: Delimiters,
    fields: Vec<&'a str>,
}

impl<'a> Record<'a> {
    /// The record's letter.
    pub(super) fn kind(&self) -> &'a str {
        self.fields.first().copied().unwrap_or_default()
    }

    /// Field `number` as the standard counts (the letter is 1), empty when absent.
    pub(super) fn field(&self, number: usize) -> &'a str {
        self.fields.get(number - 1).copied().unwrap_or_default().trim()
    }

    /// Components of a field's first repeat.
    pub(super) fn components(&self, number: usize) -> Vec<Cow<'a, str>> {
        let first = self.field(number).split(self.marks.repeat).next().unwrap_or_default();
        first.split(self.marks.component).map(|part| self.marks.unescape(part)).collect()
    }

    /// The record as nested arrays: fields, repeats, components; null for empty.
    fn to_json(&self) -> Value {
        let leaf = |text: &str| match text {
            "" => Value::Null,
            text => self.marks.unescape(text).into_owned().into(),
        };
        let parts = |text: &str| {
            if text.contains(self.marks.component) {
                text.split(self.marks.component).map(leaf).collect()
            } else {
                leaf(text)
            }
        };
        // The second field of a header is the delimiters themselves.
        let fields = self.fields.iter().enumerate().map(|(index, text)| {
            if self.kind() == "H" && index == 1 {
                (*text).into()
            } else if text.contains(self.marks.repeat) {
                text.split(self.marks.repeat).map(parts).collect()
            } else {
                parts(text)
            }
        });
        fields.collect()
    }
}

/// The records of a text.
pub(super) fn parse(text: &str) -> Vec<Record<'_>> {
    let text = text.trim_start_matches(['\r', '\n']);
    let marks = Delimiters::of(text);
    let lines = text.split(['\r', '\n']).filter(|line| !line.trim().is_empty());
    lines.take(RECORDS_MAX).map(|line| Record { marks, fields: line.split(marks.field).collect() }).collect()
}

/// The records as JSON.
pub(super) fn to_json(text: &str) -> Value {
    parse(text).iter().map(Record::to_json).collect()
}

/// The last record of a message is its terminator, `L`.
pub(super) fn is_terminated(message: &[u8]) -> bool {
    let last = message.split(|byte| *byte == b'\r').rev().map(<[u8]>::trim_ascii).find(|record| !record.is_empty());
    last.is_some_and(|record| {
        record.first() == Some(&b'L') && record.get(1).is_none_or(|byte| !byte.is_ascii_alphanumeric())
    })
}

/// A message cut so that no frame has two people: header and one person's records each. What belongs to no person stays with
/// the one before.
///
/// A person is a `P` record; where it has no id of a patient, every specimen (`O` record) is taken for a person. A message with
/// too many people, or a header of no sane length, stays whole: the codec refuses it, and that is counted.
pub(super) fn by_person(message: &[u8]) -> Vec<Vec<u8>> {
    let mut records = message.split(|byte| *byte == b'\r').filter(|record| !record.is_empty()).peekable();
    let header = records.next_if(|record| record.first() == Some(&b'H')).unwrap_or_default();
    let mark = header.get(1).copied().unwrap_or(b'|');
    let mut groups: Vec<Group<'_>> = Vec::new();
    for record in records {
        let letter = record.first().copied().unwrap_or_default();
        let apart = groups.last().is_none_or(|group| match letter {
            b'P' => group.patient || group.specimen,
            b'O' => group.specimen && !group.named,
            _ => false,
        });
        if apart {
            groups.push(Group::default());
        }
        if let Some(group) = groups.last_mut() {
            group.patient |= letter == b'P';
            group.named |=
                letter == b'P' && record.split(|byte| *byte == mark).skip(2).take(3).any(|id| !id.is_empty());
            group.specimen |= letter == b'O';
            group.records.push(record);
        }
    }
    if groups.len() > PEOPLE_MAX || header.len() > HEADER_MAX {
        return vec![message.to_vec()];
    }
    let with_header =
        |group: Group<'_>| std::iter::once(header).chain(group.records).flat_map(|r| [r, b"\r"].concat()).collect();
    groups.into_iter().map(with_header).collect()
}

#[derive(Debug, Default)]
struct Group<'a> {
    records: Vec<&'a [u8]>,
    patient: bool,
    /// The patient has an id.
    named: bool,
    specimen: bool,
}
