//! Gateways as the administrator sees them, and what is pushed to them.

use model::note::Push;
use model::{Metric, Name, Quality, Reading, Sample, Seq, Subject, Time};
use serde_json::json;
use store::readings::Batch;

use crate::house::{House, NOON};

#[tokio::test]
async fn a_gateway_is_shown_with_what_it_has_and_how_it_does() {
    let house = House::open().await;
    let noon = Time::parse(NOON).unwrap();
    let gateway = house.records.gateways().unwrap()[0].clone();
    let admin = house.signed_in("admin");
    let (status, list) = admin.get("/api/gateways").await;
    assert_eq!((status, list["gateways"][0]["state"].is_null()), (200, true), "never connected");

    let birth =
        json!({ "v": 1, "state": "up", "fw": "0.1.0", "since": noon.millis(), "cfg": { "rules": 4 } }).to_string();
    let topic = format!("vigil/1/{}/{}/st", gateway.site_name, gateway.name);
    house.records.retained_put(gateway.id, &topic, birth.as_bytes(), noon).unwrap();
    let itself = house.records.ensure_device(gateway.id, &Name::new("_").unwrap()).unwrap();
    let sample = Sample::new(Metric::OutboxAge, noon.plus_us(60_000_000), 95.0, Quality::Ok);
    let rows = vec![Reading { subject: Subject::Unattributed(itself), device: itself, sample }];
    house.readings.write_batch(&Batch { rows, ..Batch::default() }, Seq(1)).unwrap();

    let path = format!("/api/gateways/{}/push", gateway.id);
    let secret = "5b51a7c91cde707c9ef18dfda143a58d";
    let devices = json!([{ "name": "cuff-1", "settings": { "key": secret } }]);
    let (status, saved) = admin.post(&path, &json!({ "what": "devices", "body": devices })).await;
    assert_eq!((status, saved), (200, json!({ "what": "devices", "version": 1 })));
    house.records.push_refused(gateway.id, Push::Devices, 1, "no such codec").unwrap();

    let (_, list) = admin.get("/api/gateways").await;
    let shown = &list["gateways"][0];
    assert_eq!(
        (&shown["state"], &shown["firmware"], &shown["in_force"]["rules"]),
        (&json!("up"), &json!("0.1.0"), &json!(4))
    );
    assert_eq!((&shown["pushes"][0]["wanted"], &shown["pushes"][0]["refused"]), (&json!(1), &json!("no such codec")));
    assert_eq!(shown["health"][0]["metric"], "outbox_age");
    assert_eq!(shown["seen_at"], json!(noon.plus_us(60_000_000)), "the newest sign of life");
    assert!(!list.to_string().contains(secret), "what was pushed is never shown");
    assert!(house.records.audit_list(None, 10).unwrap().iter().any(|row| row.action == "push"));

    for bad in [
        json!({ "what": "config", "body": [] }),
        json!({ "what": "devices", "body": {} }),
        json!({ "what": "rules", "body": {} }),
    ] {
        assert_eq!(admin.post(&path, &bad).await.0, 422, "{bad}");
    }
    let (status, _) = admin.post("/api/gateways/999/push", &json!({ "what": "config", "body": {} })).await;
    assert_eq!(status, 404);
}
