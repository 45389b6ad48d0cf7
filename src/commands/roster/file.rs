//! A rota as people write it: TOML, the team and the people by their names, everything else as in `rota::Rota`.

use std::path::Path;

use anyhow::{Context, bail};
use rota::Rota;
use serde_json::{Map, Value, json};
use store::records::{Person, Records};

/// Largest file, bytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// Reads a file and looks its names up.
pub(super) fn read(file: &Path, records: &Records) -> anyhow::Result<Rota> {
    let cannot = || format!("cannot read {}", file.display());
    if std::fs::metadata(file).with_context(cannot)?.len() > BYTES_MAX {
        bail!("{} is larger than any rota", file.display());
    }
    let text = std::fs::read_to_string(file).with_context(cannot)?;
    parse(&text, records).with_context(|| file.display().to_string())
}

fn parse(text: &str, records: &Records) -> anyhow::Result<Rota> {
    let table: toml::Table = text.parse().context("this is not TOML")?;
    let Value::Object(mut rota) = plain(toml::Value::Table(table)) else { bail!("this is no table") };
    let name = rota.get("team").and_then(Value::as_str).context("team = \"NAME\" is missing")?;
    let team = super::team_of(records, name)?;
    rota.insert("team".into(), json!(team));
    let persons = records.persons()?;
    for layer in rota.get_mut("layers").and_then(Value::as_array_mut).into_iter().flatten() {
        let name = layer["name"].as_str().unwrap_or("?").to_owned();
        for person in layer.get_mut("people").and_then(Value::as_array_mut).into_iter().flatten() {
            *person = member(person, &persons).with_context(|| format!("layer {name:?}"))?;
        }
    }
    serde_json::from_value(Value::Object(rota)).context("this is no rota")
}

/// `"login"` or `{ login = "..", duty = ".." }` as a member with the person's number and duty.
fn member(written: &Value, persons: &[Person]) -> anyhow::Result<Value> {
    let mut member = match written {
        Value::String(login) => Map::from_iter([("login".to_owned(), json!(login))]),
        Value::Object(member) => member.clone(),
        _ => bail!("people are written as \"LOGIN\" or {{ login = \"LOGIN\", duty = \"nurse\" }}"),
    };
    let Some(login) = member.remove("login") else { return Ok(Value::Object(member)) };
    let login = login.as_str().unwrap_or("?");
    let found = persons.iter().find(|person| person.login == login);
    let person = found.with_context(|| format!("there is no person with the login {login}"))?;
    member.insert("person".into(), json!(person.id));
    if !member.contains_key("duty") {
        let duty = person.works_as().with_context(|| {
            format!("say as what {login} works: {{ login = \"{login}\", duty = \"village_doctor\" }}, or once with `vigil roster person`")
        })?;
        member.insert("duty".into(), json!(duty));
    }
    Ok(Value::Object(member))
}

/// TOML as JSON; its dates and times of day as text.
fn plain(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(is) => Value::Bool(is),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(values) => values.into_iter().map(plain).collect(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, value)| (key, plain(value))).collect()),
    }
}
