//! An HL7 version 2 message: segments, fields, components, escapes.

use crate::Malformed;

/// Segments read of one message.
const SEGMENTS_MAX: usize = 10_000;

/// The delimiters that MSH names, in its order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) field: char,
    pub(super) component: char,
    pub(super) repeat: char,
    pub(super) escape: char,
    pub(super) sub: char,
}

/// One segment. `fields[n]` is field n as the standard counts; in MSH, field 1 is the delimiter.
#[derive(Clone, Debug)]
pub(super) struct Segment<'a> {
    pub(super) name: &'a str,
    fields: Vec<&'a str>,
    marks: Marks,
}

/// One message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) marks: Marks,
    /// The first one is MSH.
    pub(super) segments: Vec<Segment<'a>>,
}

impl<'a> Message<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let lines = || text.split(['\r', '\n']).map(trimmed).filter(|line| !line.is_empty());
        let first = lines().next().ok_or(Malformed::shape("no segment"))?;
        let mut marks = first.strip_prefix("MSH").ok_or(Malformed::shape("no MSH at the beginning"))?.chars();
        let mut mark = || marks.next().filter(|c| !c.is_alphanumeric()).ok_or(Malformed::shape("no delimiters in MSH"));
        let mut marks = Marks { field: mark()?, component: mark()?, repeat: mark()?, escape: mark()?, sub: '&' };
        if let Some(sub) = first.chars().nth(7).filter(|c| *c != marks.field) {
            marks.sub = sub;
        }
        let mut segments = Vec::new();
        for line in lines() {
            let name = line.split(marks.field).next().unwrap_or_default();
            match name {
                "MSH" if !segments.is_empty() => {
                    return Err(Malformed::Unsupported("several messages in one frame".into()));
                }
                "FHS" | "BHS" | "BTS" | "FTS" => return Err(Malformed::shape("a batch header inside a message")),
                _ if name.len() != 3 => return Err(Malformed::shape("a segment without a name")),
                _ => {}
            }
            if segments.len() == SEGMENTS_MAX {
                return Err(Malformed::Limit { what: "segments", found: segments.len() + 1, max: SEGMENTS_MAX });
            }
            let mut fields: Vec<&str> = line.split(marks.field).collect();
            if name == "MSH" {
                fields.insert(1, "");
            }
            segments.push(Segment { name, fields, marks });
        }
        Ok(Self { marks, segments })
    }

    pub(super) fn header(&self) -> Option<&Segment<'a>> {
        self.segments.first()
    }
}

/// Control characters at the ends of a line are dirt.
fn trimmed(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_control() || c == ' ')
}

impl<'a> Segment<'a> {
    /// A field as written, empty when absent. Two quotes mean "deleted".
    pub(super) fn field(&self, number: usize) -> &'a str {
        self.fields.get(number).copied().filter(|text| *text != "\"\"").unwrap_or_default()
    }

    /// How many values a field has.
    pub(super) fn repeats(&self, number: usize) -> usize {
        self.field(number).split(self.marks.repeat).count()
    }

    /// A component (from 1) of a field's first value, as written.
    pub(super) fn component(&self, number: usize, component: usize) -> &'a str {
        let first = self.field(number).split(self.marks.repeat).next().unwrap_or_default();
        first.split(self.marks.component).nth(component - 1).unwrap_or_default().trim()
    }

    /// A component with its escapes resolved.
    pub(super) fn text(&self, number: usize, component: usize) -> String {
        unescape(self.component(number, component), self.marks)
    }
}

fn unescape(text: &str, marks: Marks) -> String {
    if !text.contains(marks.escape) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split(marks.escape);
    out.push_str(pieces.next().unwrap_or_default());
    while let Some(code) = pieces.next() {
        match code {
            "F" => out.push(marks.field),
            "S" => out.push(marks.component),
            "T" => out.push(marks.sub),
            "R" => out.push(marks.repeat),
            "E" => out.push(marks.escape),
            // Formatting and hexadecimal escapes say nothing that is read here.
            _ => {}
        }
        out.push_str(pieces.next().unwrap_or_default());
    }
    out
}
