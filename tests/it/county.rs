//! `vigil county` as a person at a terminal uses it: a small county for a day misses nothing, and says the same twice.

use crate::world::vigil;

fn county(more: &[&str]) -> (Option<i32>, String) {
    let output =
        vigil(&[&["county", "--elders", "2000", "--days", "1", "--seed", "7"], more].concat()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("day 1 of 1"), "{told}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_day_of_a_small_county_misses_no_crisis_and_is_the_same_twice() {
    let (code, text) = county(&["--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let set = &report["sets"][0];
    assert_eq!((code, &set["missed_count"]), (Some(0), &0.into()), "{}", set["missed"]);
    for crisis in set["crises"].as_array().unwrap() {
        // Weight needs days.
        if crisis["kind"] != "weight_gain" {
            assert!(crisis["count"].as_u64() > Some(0), "the scenario has each kind: {crisis}");
            let found = crisis["live"].as_u64().unwrap() + crisis["late"].as_u64().unwrap();
            assert_eq!(Some(found), crisis["count"].as_u64(), "{crisis}");
        }
    }
    for priority in set["priorities"].as_array().unwrap() {
        assert!(priority["raised"].as_u64() > Some(0), "{priority}");
    }
    assert!(set["late_items"].as_u64() > Some(0) && report["counts"]["held"].as_u64() > Some(0));
    assert_eq!(county(&["--json"]), (code, text));
}

/// Rules that say nothing miss everything: the command can fail, and says what was missed.
#[test]
fn rules_that_never_raise_fail_and_list_what_they_missed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("quiet.toml");
    std::fs::write(&file, "name = \"quiet\"\nversion = 1\nsource = \"a test\"\nrules = []\n").unwrap();
    let (code, text) = county(&["--rules", file.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(text.contains("MISSED desaturation of elder") && text.contains("MISSED sos"), "{text}");
}
