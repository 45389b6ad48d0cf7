//! Every route times every role: a table. A route without a row fails.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::house::{House, answer, rules, template};

/// Who asks, in the order of the columns: nobody, dispatcher, doctor and nurse of the elder's team, doctor of another
/// team, administrator, supervisor, responder.
const LOGINS: [Option<&str>; 8] =
    [None, Some("zhang"), Some("chen"), Some("sun"), Some("zhao"), Some("admin"), Some("ban"), Some("wangge")];

struct Row(&'static str, &'static str, [u16; 8]);

/// `{id}` in a path is a fresh alarm or page of 王秀英 (paged: the doctor of her team), herself, or a fresh frame.
const ROWS: &[Row] = &[
    Row("POST", "/api/login", [401, 401, 401, 401, 401, 401, 401, 401]),
    Row("POST", "/api/logout", [401, 204, 204, 204, 204, 204, 204, 204]),
    Row("GET", "/api/me", [401, 200, 200, 200, 200, 200, 200, 200]),
    Row("GET", "/api/stream", [401, 200, 200, 200, 200, 200, 200, 403]),
    Row("GET", "/api/alarms", [401, 200, 200, 200, 200, 200, 200, 403]),
    Row("GET", "/api/alarms/{id}", [401, 200, 200, 200, 403, 200, 200, 403]),
    Row("POST", "/api/alarms/{id}/claim", [401, 200, 403, 403, 403, 403, 200, 403]),
    Row("POST", "/api/alarms/{id}/release", [401, 409, 403, 403, 403, 403, 409, 403]),
    Row("POST", "/api/alarms/{id}/resolve", [401, 200, 200, 200, 403, 403, 200, 403]),
    Row("POST", "/api/alarms/{id}/note", [401, 200, 200, 200, 403, 403, 200, 403]),
    Row("POST", "/api/alarms/{id}/hand-over", [401, 409, 403, 403, 403, 403, 409, 403]),
    Row("POST", "/api/alarms/{id}/hand-over/accept", [401, 409, 403, 403, 403, 403, 409, 403]),
    Row("POST", "/api/alarms/{id}/hand-over/decline", [401, 409, 403, 403, 403, 403, 409, 403]),
    Row("POST", "/api/alarms/{id}/park", [401, 403, 409, 403, 403, 403, 409, 403]),
    Row("POST", "/api/alarms/{id}/dispatch", [401, 409, 403, 403, 403, 403, 409, 403]),
    Row("POST", "/api/alarms/{id}/arrived", [401, 409, 409, 409, 403, 403, 409, 403]),
    Row("POST", "/api/alarms/{id}/reopen", [401, 409, 409, 409, 403, 403, 409, 403]),
    Row("POST", "/api/alarms/{id}/void", [401, 403, 403, 403, 403, 403, 200, 403]),
    Row("GET", "/api/teams", [401, 200, 200, 200, 200, 200, 200, 200]),
    Row("GET", "/api/helpers", [401, 200, 200, 200, 200, 403, 200, 403]),
    Row("GET", "/api/incidents", [401, 200, 403, 403, 403, 200, 200, 403]),
    Row("GET", "/api/incidents/{id}", [401, 200, 403, 403, 403, 200, 200, 403]),
    Row("PUT", "/api/elders/{id}/risk", [401, 403, 200, 200, 403, 200, 403, 403]),
    Row("GET", "/api/elders", [401, 200, 200, 200, 200, 200, 200, 403]),
    Row("GET", "/api/elders/{id}", [401, 200, 200, 200, 403, 200, 200, 403]),
    Row("GET", "/api/elders/{id}/latest", [401, 200, 200, 200, 403, 200, 200, 403]),
    Row("GET", "/api/elders/{id}/trend", [401, 200, 200, 200, 403, 200, 200, 403]),
    Row("GET", "/api/elders/{id}/profile", [401, 403, 200, 200, 403, 200, 403, 403]),
    Row("GET", "/api/elders/{id}/waveforms", [401, 200, 200, 200, 403, 200, 200, 403]),
    Row("GET", "/api/elders/{id}/strip", [401, 200, 200, 200, 403, 200, 200, 403]),
    Row("GET", "/api/elders/{id}/rules", [401, 200, 200, 200, 403, 200, 200, 403]),
    Row("PUT", "/api/elders/{id}/rules", [401, 403, 200, 403, 403, 200, 403, 403]),
    Row("GET", "/api/pages", [401, 403, 200, 200, 200, 403, 200, 200]),
    Row("GET", "/api/pages/{id}", [401, 403, 200, 403, 403, 403, 403, 403]),
    Row("POST", "/api/pages/{id}/accept", [401, 403, 200, 403, 403, 403, 403, 403]),
    Row("POST", "/api/pages/{id}/decline", [401, 403, 200, 403, 403, 403, 403, 403]),
    Row("POST", "/api/pages/{id}/arrived", [401, 403, 403, 403, 403, 403, 403, 403]),
    Row("GET", "/api/elders/{id}/measurements", [401, 403, 200, 200, 403, 200, 403, 403]),
    Row("GET", "/api/elders/{id}/keys", [401, 403, 200, 200, 403, 200, 403, 403]),
    Row("POST", "/api/elders/{id}/keys", [401, 403, 200, 200, 403, 200, 403, 403]),
    Row("POST", "/api/elders/{id}/keys/remove", [401, 403, 404, 404, 403, 404, 403, 403]),
    Row("GET", "/api/measurements", [401, 403, 200, 200, 200, 200, 403, 403]),
    Row("POST", "/api/measurements/attribute", [401, 403, 200, 200, 403, 200, 403, 403]),
    Row("GET", "/api/unattributed", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/writer", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/gateways", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("POST", "/api/gateways/{id}/push", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/quarantine", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("POST", "/api/quarantine/{id}/replay", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/custody", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("POST", "/api/custody/{id}/ask", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/numbers", [401, 403, 403, 403, 403, 200, 200, 403]),
    Row("GET", "/api/numbers.csv", [401, 403, 403, 403, 403, 200, 200, 403]),
    Row("GET", "/api/metrics", [401, 200, 200, 200, 200, 200, 200, 200]),
    Row("GET", "/api/health", [200, 200, 200, 200, 200, 200, 200, 200]),
    Row("POST", "/api/elders/{id}/judge", [401, 403, 200, 403, 403, 200, 403, 403]),
    Row("POST", "/api/teams/{id}/judge", [401, 403, 200, 403, 403, 200, 403, 403]),
    Row("GET", "/api/teams/{id}/trends", [401, 403, 200, 200, 403, 200, 403, 403]),
    // Being made, both: nobody asked before.
    Row("GET", "/api/population", [401, 403, 403, 403, 403, 202, 403, 403]),
    Row("GET", "/api/population.csv", [401, 403, 403, 403, 403, 409, 403, 403]),
    // Nobody's code: 404 where the role fits.
    Row("POST", "/api/pages/ack-code", [401, 404, 403, 403, 403, 403, 404, 403]),
    Row("GET", "/api/channels", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("POST", "/api/channels/{id}/test", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/people/{id}/contacts", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("PUT", "/api/people/{id}/contacts", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/policies", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("PUT", "/api/policies", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/policies/{id}", [401, 403, 403, 403, 403, 404, 403, 403]),
    Row("GET", "/api/layers", [401, 403, 200, 200, 200, 200, 403, 403]),
    Row("GET", "/api/layers/{name}", [401, 403, 200, 200, 200, 200, 403, 403]),
    // The layer of the matrix was shipped: no doctor changes it.
    Row("PUT", "/api/layers/{name}", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/assignments", [401, 403, 200, 200, 200, 200, 403, 403]),
    Row("POST", "/api/assignments", [401, 403, 200, 403, 403, 200, 403, 403]),
    Row("POST", "/api/assignments/{id}/end", [401, 403, 200, 403, 403, 200, 403, 403]),
    Row("GET", "/api/quiet", [401, 200, 200, 200, 200, 200, 200, 403]),
    Row("POST", "/api/quiet", [401, 200, 200, 200, 403, 200, 200, 403]),
    Row("POST", "/api/quiet/{id}/end", [401, 200, 200, 200, 403, 200, 200, 403]),
    Row("GET", "/api/rota", [401, 200, 200, 200, 403, 200, 200, 200]),
    Row("PUT", "/api/rota", [401, 403, 403, 403, 403, 200, 403, 403]),
    Row("GET", "/api/rota/versions", [401, 403, 403, 403, 403, 200, 200, 403]),
    // The team has no rota before the administrator saves one: 422.
    Row("POST", "/api/rota/overrides", [401, 403, 422, 422, 403, 200, 403, 403]),
    Row("POST", "/api/rota/overrides/{id}/cancel", [401, 403, 404, 404, 404, 404, 404, 404]),
    Row("POST", "/api/rota/swaps", [401, 403, 422, 422, 403, 200, 403, 403]),
    Row("POST", "/api/rota/leave", [401, 403, 200, 403, 403, 200, 403, 403]),
    Row("POST", "/api/rota/leave/{id}/cancel", [401, 403, 404, 404, 404, 404, 404, 404]),
    Row("POST", "/api/rota/holidays", [401, 403, 403, 403, 403, 200, 403, 403]),
    // Asked from this machine; from elsewhere: `security.rs`.
    Row("GET", "/metrics", [200, 200, 200, 200, 200, 200, 200, 200]),
    // No signature, no such word, no such link.
    Row("POST", "/callback/webhook", [404; 8]),
    Row("POST", "/callback/{id}/{word}", [404; 8]),
    Row("GET", "/a.css", [200; 8]),
    Row("GET", "/a/{id}", [410; 8]),
    Row("POST", "/a/{id}", [422; 8]),
    Row("POST", "/demo/phone", [401, 401, 401, 401, 401, 401, 401, 401]),
    Row("GET", "/demo/phone", [401, 200, 200, 200, 200, 200, 200, 200]),
];

/// What this route needs to succeed when the role is right.
fn body_for(path: &str) -> Value {
    match path {
        "/api/login" => json!({ "login": "nobody", "password": "Wrong-horse-7" }),
        "/api/alarms/{id}/resolve" => json!({ "outcome": "true_handled", "note": "" }),
        "/api/alarms/{id}/note" => json!({ "note": "家属已到" }),
        "/api/alarms/{id}/hand-over" => json!({ "to": 2 }),
        // A fall: whoever may park is told that this one cannot be.
        "/api/alarms/{id}/park" => json!({ "until": "2026-11-22T05:00:00Z", "reason": "matrix" }),
        "/api/alarms/{id}/dispatch" => json!({ "who": "120" }),
        "/api/alarms/{id}/void" => json!({ "reason": "test" }),
        "/api/elders/{id}/risk" => json!({ "ability": 2, "lives_alone": true }),
        "/api/elders/{id}/rules" => json!({ "set": rules(170.0), "reason": "matrix" }),
        "/api/elders/{id}/judge" | "/api/teams/{id}/judge" => json!({ "set": rules(170.0), "days": 1 }),
        "/api/policies" => json!({ "policy": crate::policies::policy("matrix", 0), "reason": "matrix" }),
        "/api/layers/{name}" => json!({ "layer": template(140.0), "reason": "matrix" }),
        "/api/assignments" => json!({ "layer": "htn", "elder": 1, "reason": "matrix" }),
        "/api/quiet" => json!({ "kind": "travel", "elder": 1, "until": "2026-11-23T00:00:00Z", "reason": "matrix" }),
        "/api/alarms/{id}/reopen" | "/api/assignments/{id}/end" | "/api/quiet/{id}/end" => {
            json!({ "reason": "matrix" })
        }
        "/api/rota" | "/api/rota/overrides" | "/api/rota/swaps" | "/api/rota/leave" | "/api/rota/holidays" => {
            crate::rota::body_for(path)
        }
        "/api/elders/{id}/keys" => json!({ "kind": "card", "value": "11010519491231002X" }),
        "/api/elders/{id}/keys/remove" => json!({ "fingerprint": "000000" }),
        "/api/measurements/attribute" => json!({ "measurements": [1], "elder": 1, "reason": "matrix" }),
        "/api/pages/ack-code" => json!({ "code": "12" }),
        "/api/people/{id}/contacts" => json!({ "channel": "smtp", "address": "li@example.org" }),
        "/api/gateways/{id}/push" => json!({ "what": "config", "body": { "flush_ms": 500 } }),
        _ => json!({}),
    }
}

fn concrete(house: &House, path: &str) -> String {
    if path == "/api/measurements/attribute" {
        house.measurement(1, None);
    }
    match path {
        "/api/assignments" => house.end_assignments(),
        "/api/layers/{name}" => drop(house.assignment()),
        _ => {}
    }
    let id = if path.starts_with("/api/assignments/") {
        house.assignment().to_string()
    } else if path.starts_with("/api/quiet/") {
        house.quiet().to_string()
    } else if path.starts_with("/api/alarms/") {
        house.fall(house.wang).to_string()
    } else if path.starts_with("/api/incidents/") {
        house.outage().to_string()
    } else if path.starts_with("/api/pages/") {
        house.page_of(house.fall(house.wang)).to_string()
    } else if path.starts_with("/api/channels/") {
        "webhook".to_owned()
    } else if path.starts_with("/api/people/") {
        house.doctor.0.to_string()
    } else if path.starts_with("/api/gateways/") {
        house.records.gateways().unwrap()[0].id.to_string()
    } else if path.starts_with("/api/quarantine/") {
        let at = house.clock.now();
        house.records.quarantine_put(model::GatewayId(1), "v1/up", b"?", "test", at).unwrap().to_string()
    } else if path.starts_with("/api/rota/") {
        // An override or leave that is not there.
        "9999".to_owned()
    } else if path.starts_with("/api/teams/") {
        house.records.elder(house.wang).unwrap().unwrap().team.unwrap().id.to_string()
    } else if path.starts_with("/api/custody/") {
        house.gap().to_string()
    } else {
        house.wang.to_string()
    };
    let path = path.replace("{id}", &id).replace("{name}", "htn");
    let path = path.replace("{id}", &id);
    if path == "/api/rota" || path == "/api/rota/versions" {
        return format!("{path}?team=1");
    }
    if path.ends_with("/trend") {
        return format!("{path}?metrics=spo2&from=2026-11-22T00:00:00Z&to=2026-11-22T04:00:00Z");
    }
    if path.ends_with("/profile") || path.ends_with("/trends") || path == "/api/population" {
        return format!("{path}?metric=spo2");
    }
    if path == "/api/population.csv" {
        return format!("{path}?metric=heart_rate");
    }
    if path.ends_with("/waveforms") || path.ends_with("/strip") {
        return format!("{path}?metric=ecg&from=2026-11-22T03:59:00Z&to=2026-11-22T04:00:00Z");
    }
    path
}

#[tokio::test]
async fn every_route_has_a_row() {
    let real: BTreeSet<_> = console::routes().into_iter().map(|(method, path, _)| (method, path)).collect();
    let rows: BTreeSet<_> = ROWS.iter().map(|Row(method, path, _)| (*method, *path)).collect();
    assert_eq!(real, rows, "a route and its row in this table come and go together");
    let documented = include_str!("../../../docs/api.md");
    for (method, path) in real {
        assert!(documented.contains(&format!("| {method} | `{path}` |")), "docs/api.md lacks {method} {path}");
    }
}

#[tokio::test]
async fn every_role_gets_what_the_table_says() {
    let house = House::open().await;
    let mut wrong = Vec::new();
    for (column, login) in LOGINS.into_iter().enumerate() {
        let signed_in = || login.map_or_else(|| house.anonymous(), |login| house.signed_in(login));
        let client = signed_in();
        for Row(method, path, expected) in ROWS {
            let client = if *path == "/api/logout" { &signed_in() } else { &client };
            let mut request = client.request(method, &concrete(&house, path));
            if *method != "GET" {
                request = request.json(&body_for(path));
            }
            // The stream never ends: its status is enough.
            let status = if *path == "/api/stream" {
                request.send().await.unwrap().status().as_u16()
            } else {
                answer(request).await.0
            };
            if status != expected[column] {
                wrong.push(format!("{method} {path} as {login:?}: {status}, expected {}", expected[column]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
