//! What a webhook and a program are told of a page: one JSON object, or for a webhook a body of the site's own making.
//!
//! A template is JSON text with `{{name}}` inside its strings. Only names of the object are known, values are escaped, and a
//! template that would not be JSON is refused when the configuration is read.

use serde_json::{Value, json};

use super::Message;

/// Longest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 16 * 1024;

/// The whole page as JSON: numbers and words of the program, the masked name, links. No value, no address.
pub(crate) fn body(message: &Message) -> Value {
    json!({
        "page": message.page.to_string(),
        "alarm": message.alarm.to_string(),
        "attempt": message.attempt,
        "priority": message.priority.slug(),
        "kind": message.kind,
        "title_zh": message.title_zh,
        "title_en": message.title_en,
        "elder": message.elder,
        "at": message.at,
        "ack_url": message.ack_url,
        "tap_url": message.tap_url,
        "code": message.code,
        "test": message.test,
    })
}

/// A checked template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl Template {
    /// The error names the place: line and column, from 1.
    pub(crate) fn parse(text: &str, known: &Value) -> Result<Self, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("is longer than {TEMPLATE_BYTES_MAX} bytes"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let at = place(text, text.len() - after.len() - 2);
            let Some((name, after)) = after.split_once("}}") else {
                return Err(format!("{at}: {{{{ without }}}}"));
            };
            let name = name.trim();
            if known.get(name).is_none() {
                let names: Vec<_> = known.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                return Err(format!("{at}: there is no variable {name:?}; there are {}", names.join(", ")));
            }
            parts.extend([Part::Text(before.to_owned()), Part::Name(name.to_owned())]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Self(parts);
        match serde_json::from_str::<Value>(&template.fill(known)) {
            Ok(_) => Ok(template),
            Err(error) => Err(format!("is no JSON: {error}")),
        }
    }

    /// The text with its values, escaped as inside a JSON string.
    pub(crate) fn fill(&self, values: &Value) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name) => out.push_str(&escaped(&values[name.as_str()])),
            }
        }
        out
    }
}

fn escaped(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let quoted = Value::String(text.clone()).to_string();
            quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    }
}

fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Value {
        json!({ "elder": "王*\"明\n", "page": "7", "attempt": 2, "code": null })
    }

    #[test]
    fn values_go_in_escaped() {
        let template = r#"{"msg": {"text": "{{elder}} {{ page }}", "n": {{attempt}}, "c": "{{code}}"}}"#;
        let filled = Template::parse(template, &known()).unwrap().fill(&known());
        let read: Value = serde_json::from_str(&filled).unwrap();
        assert_eq!(read, json!({ "msg": { "text": "王*\"明\n 7", "n": 2, "c": "" } }));
    }

    #[test]
    fn what_nobody_knows_is_refused_with_its_place() {
        let error = Template::parse("{\n  \"a\": \"{{name}}\"\n}", &known()).unwrap_err();
        assert!(
            error.starts_with("line 2, column 9: there is no variable \"name\"") && error.contains("elder"),
            "{error}"
        );
        assert!(Template::parse("{\"a\": \"{{page\"}", &known()).unwrap_err().contains("without"));
        assert!(Template::parse("{\"a\": {{elder}}}", &known()).unwrap_err().contains("no JSON"));
        assert!(Template::parse(&"x".repeat(20_000), &known()).unwrap_err().contains("longer"));
    }
}
