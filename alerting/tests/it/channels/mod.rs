//! The channels of the Chinese providers against providers played on this machine, and the official SDKs against the same.

mod aliyun;
pub(crate) mod fake;
mod oracle;
mod paged;
mod robots;
mod tencent;
mod trouble;
mod wecom;

use std::time::Duration;

use model::{AlarmId, PageId, PersonId, Priority, Time};
use serde_json::Value;
use vigil_alerting::{ChannelConfigs, Channels, Config, Fate, Message, Recipient, Sent};

/// Nothing of this may be in what an operator reads.
const NEVER_TOLD: [&str; 9] = [
    fake::wecom::SECRET,
    fake::wecom::ROBOT_KEY,
    fake::robots::TOKEN,
    fake::robots::SECRET,
    fake::robots::HOOK,
    fake::aliyun::SECRET,
    fake::tencent::SECRET_KEY,
    "13800000000",
    "http",
];

/// The channels as a configuration file would have them.
fn channels(tables: Value) -> Channels {
    let channels: ChannelConfigs = serde_json::from_value(tables).unwrap();
    Channels::new(&Config { channels, ..Config::default() }).unwrap()
}

fn message() -> Message {
    Message {
        page: PageId(7),
        alarm: AlarmId(1),
        attempt: 1,
        priority: Priority::P1,
        kind: "sos".into(),
        title_zh: "紧急呼叫".into(),
        title_en: "SOS".into(),
        elder: "王*明".into(),
        at: Time::parse("2026-11-22T14:03:59+08:00").unwrap(),
        ack_url: "https://vigil.example.org/phone/pages/7".into(),
        code: Some("482106".into()),
        tap_url: Some("https://vigil.example.org/tap/abc".into()),
        test: false,
    }
}

fn doctor() -> Recipient {
    let address = Some("LiDoctor1".to_owned());
    Recipient { person: PersonId(1), phone: "13800000000".into(), address, language: "zh".into() }
}

/// Sends, and looks whether what came of it tells too much.
async fn send(channels: &Channels, channel: &str, to: &Recipient, message: &Message, now: Time) -> Sent {
    let sent = channels.send(channel, to, message, now).await;
    for secret in NEVER_TOLD {
        assert!(!sent.detail.contains(secret), "{}", sent.detail);
    }
    sent
}

async fn fate(channels: &Channels, channel: &str, now: Time) -> Fate {
    send(channels, channel, &doctor(), &message(), now).await.fate
}

fn retry() -> Fate {
    Fate::Retry { after: None }
}

fn person() -> Fate {
    Fate::RefusedPerson { until: None }
}

fn person_for(seconds: u64) -> Fate {
    Fate::RefusedPerson { until: Some(Duration::from_secs(seconds)) }
}

/// Neither a printed channel nor a printed or written configuration shows a secret.
#[test]
fn no_secret_is_printed() {
    let tables = serde_json::json!({
        "wecom_app": wecom::config("http://127.0.0.1:9"),
        "wecom_robot": wecom::robot("http://127.0.0.1:9"),
        "dingtalk": robots::ding("http://127.0.0.1:9"),
        "feishu": robots::lark("http://127.0.0.1:9"),
        "aliyun_sms": aliyun::sms("http://127.0.0.1:9"),
        "aliyun_voice": aliyun::voice("http://127.0.0.1:9"),
        "tencent_sms": tencent::sms("http://127.0.0.1:9"),
        "tencent_voice": tencent::voice("http://127.0.0.1:9"),
    });
    let configs: ChannelConfigs = serde_json::from_value(tables.clone()).unwrap();
    let printed = format!("{configs:?}{}{:?}", serde_json::to_string(&configs).unwrap(), channels(tables));
    for secret in &NEVER_TOLD[..7] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

/// What a configuration file may not say, and where the mistake is.
#[test]
fn a_wrong_setting_is_refused_with_its_place() {
    let base = "http://127.0.0.1:9";
    let cases: [(&str, Value, &str, Value); 14] = [
        ("wecom_app", wecom::config(base), "corp_id", "".into()),
        ("wecom_app", wecom::config(base), "timeout_s", 31.into()),
        ("wecom_app", wecom::config(base), "base_url", "http://qyapi.weixin.qq.com".into()),
        ("wecom_robot", wecom::robot(base), "key", "".into()),
        ("dingtalk", robots::ding(base), "secret", "with blanks".into()),
        ("feishu", robots::lark(base), "hook", "../../x".into()),
        ("feishu", robots::lark(base), "base_url", "ftp://x".into()),
        ("aliyun_sms", aliyun::sms(base), "sign_name", "".into()),
        ("aliyun_sms", aliyun::sms(base), "timeout_s", 0.into()),
        ("aliyun_voice", aliyun::voice(base), "play_times", 4.into()),
        ("aliyun_voice", aliyun::ivr(base), "show_number", Value::Null),
        ("tencent_sms", tencent::sms(base), "template_id", "".into()),
        ("tencent_voice", tencent::voice(base), "play_times", 0.into()),
        ("tencent_voice", tencent::voice(base), "secret_key", "".into()),
    ];
    for (channel, mut table, key, value) in cases {
        table[key] = value;
        let channels: ChannelConfigs = serde_json::from_value(serde_json::json!({ channel: table })).unwrap();
        let error = Channels::new(&Config { channels, ..Config::default() }).unwrap_err().to_string();
        assert!(error.contains(channel) && error.contains(key), "{error}");
    }
    // A variable nobody knows, a misspelt key.
    for (key, value) in [("params", serde_json::json!({"name": "systolic"})), ("sign", "x".into())] {
        let mut table = aliyun::sms(base);
        table[key] = value;
        assert!(serde_json::from_value::<ChannelConfigs>(serde_json::json!({ "aliyun_sms": table })).is_err(), "{key}");
    }
}

/// The examples in the shipped configuration file, without their comment signs.
#[test]
fn the_shipped_examples_are_true() {
    let file = include_str!("../../../../config/server.toml");
    let examples = file.split("\n\n").filter_map(|block| block.find("# [alerting.channels.").map(|at| &block[at..]));
    let lines = examples.flat_map(str::lines).map(|line| line.strip_prefix("# ").unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    let table: toml::Table = text.parse().unwrap();
    let all: ChannelConfigs = table["alerting"]["channels"].clone().try_into().unwrap();
    let providers = ChannelConfigs {
        wecom_app: all.wecom_app,
        wecom_robot: all.wecom_robot,
        dingtalk: all.dingtalk,
        feishu: all.feishu,
        aliyun_sms: all.aliyun_sms,
        aliyun_voice: all.aliyun_voice,
        tencent_sms: all.tencent_sms,
        tencent_voice: all.tencent_voice,
        ..ChannelConfigs::default()
    };
    assert_eq!(providers.configured().len(), 8);
    providers.validate().unwrap();
}
