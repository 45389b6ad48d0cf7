//! Attribution with devices, reports and a gateway's configuration: what the book of sessions alone does not see.

use model::{Origin, Sample};

use super::*;
use crate::devices::DeviceConfig;

fn at(secs: i64) -> Time {
    Time::from_secs(1_795_334_400 + secs)
}

fn device(text: &str) -> Device {
    toml::from_str::<DeviceConfig>(text).unwrap().device().unwrap()
}

fn sessions(dir: &tempfile::TempDir) -> Sessions {
    let key = dir.path().join("identity.key");
    std::fs::write(&key, format!("{}\n", "0b".repeat(32))).unwrap();
    let config = Config { data_dir: dir.path().to_owned(), identity_key_file: Some(key), ..Config::default() };
    Sessions::open(&config).unwrap()
}

fn report(metric: Metric, taken: Time) -> Report {
    Report { samples: vec![Sample::new(metric, taken, 60.0, Quality::Ok)], ..Report::default() }
}

async fn whose(sessions: &Sessions, device: &Device, metric: Metric, taken: Time, received: Time) -> String {
    sessions.attribute(device, None, report(metric, taken), received).await.person.unwrap()
}

#[tokio::test]
async fn two_people_in_one_minute_never_swap_values() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = sessions(&dir);
    let (cuff, scale) =
        (device("name = \"cuff\"\nshared = true\nmeasures_for_s = 20"), device("name = \"scale\"\nshared = true"));
    sessions.present(KeyKind::Elder, "1", at(0)).await.unwrap();
    assert_eq!(whose(&sessions, &scale, Metric::Weight, at(5), at(5)).await, "elder:1");
    assert_eq!(whose(&sessions, &cuff, Metric::Systolic, at(24), at(25)).await, "elder:1");
    sessions.present(KeyKind::Elder, "2", at(30)).await.unwrap();
    assert_eq!(whose(&sessions, &scale, Metric::Weight, at(36), at(36)).await, "elder:2");
    assert_eq!(whose(&sessions, &cuff, Metric::Systolic, at(45), at(46)).await, "none:session_changed");
    assert_eq!(whose(&sessions, &cuff, Metric::Systolic, at(58), at(59)).await, "elder:2");
    assert_eq!(whose(&sessions, &cuff, Metric::Systolic, at(22), at(60)).await, "elder:1", "taken then, told now");
}

#[tokio::test]
async fn a_cuff_takes_a_minute_unless_its_key_says_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = sessions(&dir);
    let cuff = device("name = \"cuff\"\nshared = true");
    sessions.present(KeyKind::Elder, "1", at(0)).await.unwrap();
    assert_eq!(whose(&sessions, &cuff, Metric::Systolic, at(40), at(40)).await, "none:not_covered");
    assert_eq!(whose(&sessions, &cuff, Metric::Systolic, at(61), at(61)).await, "elder:1");
    assert_eq!(whose(&sessions, &cuff, Metric::BodyTemperature, at(62), at(62)).await, "elder:1");
}

#[tokio::test]
async fn a_device_with_an_elder_of_its_own_passes() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = sessions(&dir);
    sessions.present(KeyKind::Elder, "1", at(0)).await.unwrap();
    let own = device("name = \"band\"");
    let passed = sessions.attribute(&own, Some(&Decoded::default()), report(Metric::HeartRate, at(5)), at(5)).await;
    assert_eq!((passed.shared, passed.person), (false, None));
}

#[tokio::test]
async fn what_the_device_says_about_the_person_counts_more_than_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = sessions(&dir);
    sessions.present(KeyKind::Elder, "1", at(0)).await.unwrap();
    let said = |person: Option<&str>| {
        let mut decoded = Decoded::default();
        match person {
            None => _ = decoded.device.other.insert("person_unknown", true.into()),
            Some(person) => decoded.device.person = Some(person.to_owned()),
        }
        decoded
    };
    let ask = async |device: &Device, person: Option<&str>| {
        let report = report(Metric::Weight, at(10));
        let made = sessions.attribute(device, Some(&said(person)), report, at(10)).await;
        made.person
    };
    let analyser = device("name = \"lab\"\nshared = true\nperson = \"card\"");
    let card = ask(&analyser, Some("11010519491231002x")).await.unwrap();
    assert!(card.starts_with("card:") && card.len() == 37);
    assert_eq!(ask(&analyser, Some("bed 7")).await.unwrap(), "elder:1", "what is no card is not used");
    assert_eq!(ask(&device("name = \"kiosk\"\nshared = true"), Some("elder:7")).await.unwrap(), "elder:7");
    // A family's scale: its users are elders, and 0xFF is nobody.
    let scale = device("name = \"scale\"\nusers = { \"1\" = 12, \"2\" = 15 }");
    assert_eq!(ask(&scale, Some("2")).await.unwrap(), "elder:15");
    assert_eq!(ask(&scale, Some("3")).await.unwrap(), "none:unknown_user");
    assert_eq!(ask(&scale, None).await.unwrap(), "none:unknown_user");
    assert_eq!(ask(&device("name = \"scale\""), None).await.unwrap(), "none:unknown_user", "not even the only wearer");
    assert_eq!(ask(&device("name = \"scale\"\nusers = { unknown = 12 }"), None).await.unwrap(), "elder:12");
    assert_eq!(ask(&device("name = \"scale\"\nshared = true"), None).await.unwrap(), "elder:1");
    assert_eq!(ask(&device("name = \"scale\""), Some("2")).await, None, "one wearer, whatever its number there");
}

#[tokio::test]
async fn a_time_that_is_not_sure_belongs_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = sessions(&dir);
    let scale = device("name = \"scale\"\nshared = true");
    sessions.present(KeyKind::Elder, "1", at(0)).await.unwrap();
    sessions.present(KeyKind::Elder, "2", at(60)).await.unwrap();
    let suspect =
        Report { samples: vec![Sample::new(Metric::Weight, at(70), 60.0, Quality::ClockSuspect)], ..Report::default() };
    let made = sessions.attribute(&scale, None, suspect, at(70)).await;
    assert_eq!(made.person.as_deref(), Some("none:not_covered"));
    let origin = Origin { index: 0, raw: None, device_ms: Some(0), uncertainty_ms: Some(30_000) };
    let rough = Report { origins: vec![origin], ..report(Metric::Weight, at(75)) };
    let made = sessions.attribute(&scale, None, rough, at(75)).await;
    assert_eq!(made.person.as_deref(), Some("none:session_changed"));
}

#[tokio::test]
async fn a_clock_of_which_nothing_is_known_gives_nobody_the_value_of_the_next_person() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = sessions(&dir);
    let scale = device("name = \"scale\"\nshared = true");
    sessions.present(KeyKind::Elder, "1", at(0)).await.unwrap();
    sessions.present(KeyKind::Elder, "2", at(170)).await.unwrap();
    // Measured now by a device whose clock is three minutes slow, and nobody knows that it is.
    let origin = Origin { index: 0, raw: None, device_ms: Some(at(20).millis()), uncertainty_ms: None };
    let told = Report { origins: vec![origin.clone()], ..report(Metric::Weight, at(20)) };
    let made = sessions.attribute(&scale, None, told, at(200)).await;
    assert_eq!(made.person.as_deref(), Some("none:session_changed"));
    // Nobody else was there between what it says and now.
    let origin = Origin { device_ms: Some(at(195).millis()), ..origin };
    let told = Report { origins: vec![origin], ..report(Metric::Weight, at(195)) };
    let made = sessions.attribute(&scale, None, told, at(200)).await;
    assert_eq!(made.person.as_deref(), Some("elder:2"));
}

#[tokio::test]
async fn a_restart_ends_the_session_and_keeps_what_was_before() {
    let dir = tempfile::tempdir().unwrap();
    let scale = device("name = \"scale\"\nshared = true");
    let before = sessions(&dir);
    before.present(KeyKind::Card, "11010519491231002X", at(0)).await.unwrap();
    assert!(before.state(at(1)).open);
    whose(&before, &scale, Metric::Weight, at(15), at(15)).await;
    drop(before);
    let kept = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
    assert!(!kept.contains("11010519491231002"), "no number of a card on the disk");
    let after = sessions(&dir);
    assert!(!after.state(at(20)).open);
    assert!(whose(&after, &scale, Metric::Weight, at(10), at(21)).await.starts_with("card:"));
    assert_eq!(whose(&after, &scale, Metric::Weight, at(22), at(22)).await, "none:no_session");
}

#[tokio::test]
async fn a_bad_number_opens_nothing_and_a_gateway_without_a_key_takes_numbers_only() {
    let dir = tempfile::tempdir().unwrap();
    let with_key = sessions(&dir);
    let denied = with_key.present(KeyKind::Card, "990000194503010082", at(0)).await.unwrap_err();
    assert_eq!(denied, Denied::Identity(BadIdentity::Check));
    assert!(!with_key.state(at(0)).open);
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
    let without = Sessions::open(&config).unwrap();
    assert_eq!(without.present(KeyKind::Qr, "code", at(0)).await.unwrap_err(), Denied::NoKey);
    assert!(without.present(KeyKind::Elder, "7", at(0)).await.unwrap().open);
    assert!(!without.close(at(1)).await.open);
}
