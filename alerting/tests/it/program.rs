//! A local program as a channel: what it gets, what its exit code means, and what happens when it does not end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use model::{AlarmId, PageId, PersonId, Priority};
use vigil_alerting::{ChannelConfigs, Channels, Config, Fate, Message, Recipient, Secret, Sent, command};

use crate::world::{PATIENCE, at};

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program with this text, started with the folder as its first argument.
    fn config(&self, text: &str) -> command::Config {
        let program = self.path("pager.sh");
        std::fs::write(&program, format!("#!/bin/sh\ncd \"$1\" || exit 1\n{text}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let here = self.dir.path().to_str().unwrap().to_owned();
        command::Config {
            program,
            arguments: vec![here, "$(touch injected); `x`".into()],
            timeout_s: 1,
            secret: Some(Secret::new("modem-key")),
        }
    }
}

async fn send(config: command::Config) -> Sent {
    let channels = ChannelConfigs { command: Some(config), ..ChannelConfigs::default() };
    let channels = Channels::new(&Config { channels, ..Config::default() }).unwrap();
    let to = Recipient { person: PersonId(4), phone: "13800000000".into(), address: None, language: "zh".into() };
    let message = Message {
        page: PageId(7),
        alarm: AlarmId(1),
        attempt: 2,
        priority: Priority::P2,
        kind: "sos".into(),
        title_zh: "紧急呼叫".into(),
        title_en: "SOS".into(),
        elder: "王*明".into(),
        at: at(0),
        ack_url: "https://vigil.example.org/phone/pages/7".into(),
        code: Some("4821".into()),
        tap_url: None,
        test: false,
    };
    tokio::time::timeout(PATIENCE, channels.send("command", &to, &message, at(0))).await.expect("it hangs")
}

#[tokio::test]
async fn it_gets_the_page_on_its_input_and_no_shell_reads_its_arguments() {
    let desk = Desk::new();
    let text =
        "cat > input; printf '%s' \"$2\" > argument; printf '%s' \"$VIGIL_SECRET\" > secret; env > env; echo modem-17";
    let sent = send(desk.config(text)).await;
    assert_eq!((sent.fate, sent.provider_ref.as_deref()), (Fate::Accepted, Some("modem-17")));
    let input: serde_json::Value = serde_json::from_slice(&std::fs::read(desk.path("input")).unwrap()).unwrap();
    assert_eq!((input["page"].as_str(), input["attempt"].as_u64()), (Some("7"), Some(2)));
    assert_eq!(input["to"], serde_json::json!({ "person": 4, "phone": "13800000000", "language": "zh" }));
    assert_eq!((input["elder"].as_str(), input["code"].as_str()), (Some("王*明"), Some("4821")));
    assert_eq!(std::fs::read_to_string(desk.path("argument")).unwrap(), "$(touch injected); `x`");
    assert_eq!(std::fs::read_to_string(desk.path("secret")).unwrap(), "modem-key");
    assert!(!desk.path("injected").exists());
    let env = std::fs::read_to_string(desk.path("env")).unwrap();
    assert!(!env.contains("CARGO"), "only what it needs: {env}");
}

#[tokio::test]
async fn its_exit_code_says_what_became_of_it() {
    let desk = Desk::new();
    for (text, fate) in [
        ("exit 0", Fate::Accepted),
        ("exit 67", Fate::RefusedPerson { until: None }),
        ("exit 75", Fate::Retry { after: None }),
        ("exit 1", Fate::Misconfigured),
        ("exit 78", Fate::Misconfigured),
        ("kill -9 $$", Fate::InDoubt),
    ] {
        let sent = send(desk.config(text)).await;
        assert_eq!(sent.fate, fate, "{text}: {sent:?}");
    }
}

/// Also what it started goes, and what it prints without end is not read.
#[tokio::test]
async fn one_that_does_not_end_is_killed_with_all_it_started() {
    let desk = Desk::new();
    let sent = send(desk.config("(sleep 600; touch survived) & echo $! > child; sleep 600")).await;
    assert_eq!(sent.fate, Fate::InDoubt, "{sent:?}");
    let child: i32 = std::fs::read_to_string(desk.path("child")).unwrap().trim().parse().unwrap();
    let gone = || match std::fs::read_to_string(format!("/proc/{child}/stat")) {
        Err(_) => true,
        // Nobody may have collected it yet.
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])),
    };
    let waited = tokio::time::timeout(PATIENCE, async {
        while !gone() {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "its child lives on");
    let flood = send(desk.config("yes | head -c 1000000; exit 0")).await;
    assert!(flood.provider_ref.is_none_or(|text| text.len() <= 200));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_refused_when_the_configuration_is_read() {
    let desk = Desk::new();
    let good = desk.config("exit 0");
    assert!(good.validate().is_ok());
    for bad in [
        command::Config { program: "pager.sh".into(), ..good.clone() },
        command::Config { program: desk.path("nothing"), ..good.clone() },
        command::Config { timeout_s: 0, ..good.clone() },
        command::Config { timeout_s: 31, ..good.clone() },
        command::Config { arguments: vec![String::new(); 65], ..good.clone() },
    ] {
        assert!(bad.validate().is_err(), "{bad:?}");
    }
    assert!(!format!("{good:?}").contains("modem-key"));
}
