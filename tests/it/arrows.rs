//! The arrows of ARCHITECTURE.md: a crate may use only what stands below it. Read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Who may use whom. A new arrow is a decision: change ARCHITECTURE.md in the same commit.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("codec", &["model"]),
    ("runtime", &["model"]),
    ("journal", &["runtime", "model"]),
    ("ecg", &["model"]),
    ("engine", &["model"]),
    ("county", &["engine", "model"]),
    ("rota", &["model"]),
    ("store", &["rota", "runtime", "model"]),
    ("mqtt", &["journal", "runtime", "model"]),
    ("ingest", &["ecg", "mqtt", "store", "journal", "runtime", "model"]),
    ("gateway", &["codec", "ecg", "mqtt", "engine", "journal", "runtime", "model"]),
    ("alerting", &["engine", "store", "rota", "journal", "runtime", "model"]),
    ("console", &["alerting", "ecg", "engine", "store", "rota", "runtime", "model"]),
    ("config", &["alerting", "console", "engine", "gateway", "ingest", "journal", "mqtt", "runtime", "store", "model"]),
];

#[test]
fn no_crate_uses_what_it_must_not() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let used = arrows(&metadata);
    assert!(used.len() >= ARROWS.len(), "metadata lists only {:?}", used.keys());
    for (name, allowed) in ARROWS {
        let used = used.get(*name).unwrap_or_else(|| panic!("crate {name} is missing"));
        let forbidden: Vec<_> = used.iter().filter(|dep| !allowed.contains(&dep.as_str())).collect();
        assert!(forbidden.is_empty(), "{name} must not use {forbidden:?}: see ARCHITECTURE.md");
    }
}

/// Vigil's own packages, by folder, with those they use in normal code.
fn arrows(metadata: &serde_json::Value) -> BTreeMap<String, BTreeSet<String>> {
    let ours = |name: &str| name.strip_prefix("vigil-").map(str::to_owned);
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .filter_map(|package| Some((ours(package["name"].as_str()?)?, package)))
        .map(|(name, package)| {
            let deps = package["dependencies"].as_array().unwrap().iter();
            let normal = deps.filter(|dep| dep["kind"].is_null());
            (name, normal.filter_map(|dep| ours(dep["name"].as_str()?)).collect())
        })
        .collect()
}
