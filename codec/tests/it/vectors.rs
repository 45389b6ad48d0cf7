//! Published vectors (`shared/data/vectors/*.jsonl`): how many agree, and the exact list of those that do not.
//!
//! A test decodes every row of a file and says for each what came of it. Rows that do not agree must stand in its list of
//! [`Known`], with the reason; a row that is missing there fails, and one that stands there and agrees fails too, so that the
//! list (and docs/devices.md, which repeats it for people) stays true.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What came of one row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Agrees,
    /// No codec reads this: said, not skipped.
    Unsupported,
    /// What was expected and what came.
    Disagrees(String),
}

/// Rows that are known not to agree.
pub(crate) struct Known {
    /// `Unsupported` or a disagreement.
    pub(crate) supported: bool,
    pub(crate) ids: &'static [&'static str],
    /// Wrong oracle, unsupported or ambiguous; printed by the tally.
    pub(crate) why: &'static str,
}

/// A file of the shared data, or `None` (and a line that says so) when they are not there.
pub(crate) fn shared(file: &str) -> Option<Vec<u8>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("VIGIL_SHARED_DATA").map_or(beside, PathBuf::from);
    let bytes = std::fs::read(folder.join(file));
    if bytes.is_err() {
        eprintln!("SKIPPED: {file} is not there (set VIGIL_SHARED_DATA to the folder of recordings)");
    }
    bytes.ok()
}

/// The rows of a file with their ids, or `None` when the shared data are not there.
pub(crate) fn rows(file: &str) -> Option<Vec<(String, Value)>> {
    let text = String::from_utf8(shared(&format!("vectors/{file}"))?).unwrap();
    let rows = text.lines().enumerate().map(|(number, line)| {
        let row: Value = serde_json::from_str(line).unwrap();
        let id = row["id"]
            .as_str()
            .map_or_else(|| format!("{}:{}", row["test"].as_str().unwrap_or("line"), number + 1), str::to_owned);
        (id, row)
    });
    Some(rows.collect())
}

/// One row of nasty_cases.jsonl by its number.
pub(crate) fn nasty(number: u32) -> Option<Value> {
    let id = format!("nasty-{number:02}");
    let found = rows("nasty_cases.jsonl")?.into_iter().find(|(row, _)| *row == id);
    Some(found.unwrap_or_else(|| panic!("{id} is not in nasty_cases.jsonl")).1)
}

/// Judges every row of `file`, prints the tally and compares it with the list of known ones. A test that calls this is named
/// `*_vectors`: cargo-nextest shows what such tests print.
pub(crate) fn tally(file: &str, known: &[Known], judge: impl Fn(&Value) -> Outcome) {
    let Some(rows) = rows(file) else { return };
    let total = rows.len();
    let (mut unsupported, mut disagreeing) = (BTreeSet::new(), BTreeMap::new());
    for (id, row) in rows {
        match judge(&row) {
            Outcome::Agrees => {}
            Outcome::Unsupported => assert!(unsupported.insert(id.clone()), "{id} stands twice in {file}"),
            Outcome::Disagrees(how) => assert!(disagreeing.insert(id.clone(), how).is_none(), "{id} twice in {file}"),
        }
    }
    let (not_read, differ) = (unsupported.len(), disagreeing.len());
    let agree = total - not_read - differ;
    // Past the capture of output of tests that pass: the tally is for people.
    let mut out = std::io::stderr().lock();
    writeln!(out, "{file}: {agree} of {total} agree, {not_read} unsupported, {differ} disagree").unwrap();
    for (id, how) in &disagreeing {
        writeln!(out, "  {id}: {how}").unwrap();
    }
    for Known { ids, why, .. } in known {
        writeln!(out, "  {}: {why}", ids.join(" ")).unwrap();
    }
    let listed = |supported: bool| -> BTreeSet<String> {
        known.iter().filter(|k| k.supported == supported).flat_map(|k| k.ids).map(|id| (*id).to_owned()).collect()
    };
    assert_eq!(unsupported, listed(false), "{file}: what is not supported is not what the list says");
    assert_eq!(disagreeing.into_keys().collect::<BTreeSet<_>>(), listed(true), "{file}: disagreements and their list");
}

/// Bytes from hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap().try_into().unwrap()).collect();
    assert!(digits.len().is_multiple_of(2), "an odd number of digits: {text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Equal up to the noise of binary fractions.
pub(crate) fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * (1.0 + b.abs())
}
