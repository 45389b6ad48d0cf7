//! `vigil score` as a person at a terminal uses it.

use serde_json::{Value, json};

use crate::world::vigil;

fn news2(inputs: &str) -> (Option<i32>, Value) {
    let output = vigil(&["score", "news2", "--json", inputs]).output().unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn news2_of_a_whole_set_and_of_what_there_is() {
    let whole = r#"{"respiratory_rate":18,"spo2":95,"spo2_scale":1,"on_oxygen":false,"systolic":120,"heart_rate":80,
        "consciousness":"A","temperature":37.0}"#;
    let (status, told) = news2(whole);
    assert_eq!(status, Some(0));
    let parts = json!({ "respiratory_rate": 0, "spo2": 1, "on_oxygen": 0, "systolic": 0, "heart_rate": 0, "consciousness": 0,
        "temperature": 0 });
    assert_eq!((&told["total"], &told["parts"]), (&json!(1), &parts));
    assert_eq!((&told["complete"], &told["min"], &told["max"]), (&json!(true), &json!(1), &json!(1)));
    let (status, told) = news2(r#"{"systolic":105,"pulse":112,"spo2":93,"temperature":38.35}"#);
    assert_eq!(
        (status, &told["complete"], &told["min"], &told["max"]),
        (Some(0), &json!(false), &json!(6), &json!(14))
    );
    assert_eq!(told["missing"], json!(["respiratory_rate", "on_oxygen", "consciousness"]));
    assert_eq!((&told["decides"], &told["parts"]["on_oxygen"]), (&json!("respiratory_rate"), &Value::Null));
}

#[test]
fn what_is_not_a_measurement_is_refused_with_what_to_do() {
    for (inputs, said) in [
        (r#"{"respiratory_rate":18,"mood":3}"#, "unknown field `mood`"),
        (r#"{"spo2":197}"#, "spo2 197 is outside"),
        (r#"{"temperature":98.6}"#, "measure again, or leave it out"),
        (r#"{"heart_rate":80,"pulse":81}"#, "duplicate field"),
        (r#"{"spo2":90,"spo2_scale":3}"#, "spo2_scale 3 does not exist"),
        (r#"{"consciousness":"a"}"#, "not one of A"),
        (r#"{"systolic":"120"}"#, "invalid type"),
        ("[1]", "not the inputs of NEWS2"),
        ("", "not the inputs of NEWS2"),
    ] {
        let (status, told) = news2(inputs);
        assert_eq!(status, Some(1), "{inputs}");
        assert!(told["error"].as_str().unwrap().contains(said), "{inputs}: {told}");
    }
    let long = format!("{{\"spo2\":97{}}}", " ".repeat(5_000));
    assert_eq!(news2(&long).0, Some(1));
}
