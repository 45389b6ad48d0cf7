//! Ways to reach a person. One file and one row a channel: a channel sends once and says what became of it; retry, limits and
//! records are the pager's.

mod address;
mod aliyun;
pub mod aliyun_sms;
pub mod aliyun_voice;
pub mod command;
pub mod demo;
mod desk;
pub mod dingtalk;
pub mod feishu;
mod http;
pub(crate) mod quota;
mod settings;
mod sign;
pub mod smtp;
mod table;
mod template;
mod tencent;
pub mod tencent_sms;
pub mod tencent_voice;
mod token;
mod verdict;
pub mod webhook;
pub mod wecom_app;
pub mod wecom_robot;
mod words;

use std::time::Duration;

use model::{AlarmId, PageId, PersonId, Priority, Time};

use crate::{Config, Error};
use table::{channels, per_day, per_s};

pub(crate) use desk::{Desk, Place};
pub use quota::Quota;
pub use table::{Limit, Reach, Window};
pub use words::Word;

/// The channel of every page that no policy says otherwise of.
pub(crate) const FIRST: &str = Channel::Webhook.name();

const MINUTE: u32 = 60;
const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;

// Limits: docs/channels.md. `per_s` in any stretch of so many seconds, `per_day` in a calendar day.
channels! {
    /// A signed POST to an address of the site's own.
    Webhook = "webhook", "网络回调", "Webhook", Reach::Site, [] => webhook::Webhook;
    /// A message of the site's own 企业微信 application to one member. More is dropped by the provider without a word.
    WecomApp = "wecom_app", "企业微信应用", "WeCom app", Reach::Address, [per_s(30, MINUTE), per_s(1_000, HOUR)] => wecom_app::WecomApp;
    /// A message of a robot into a 企业微信 group.
    WecomRobot = "wecom_robot", "企业微信群机器人", "WeCom robot", Reach::Group, [per_s(20, MINUTE)] => wecom_robot::WecomRobot;
    /// A message of a robot into a 钉钉 group. Above its limit it is silent for ten minutes.
    Dingtalk = "dingtalk", "钉钉群机器人", "DingTalk robot", Reach::Group, [per_s(20, MINUTE)] => dingtalk::Dingtalk;
    /// A message of a robot into a 飞书 group.
    Feishu = "feishu", "飞书群机器人", "Feishu robot", Reach::Group, [per_s(5, 1), per_s(100, MINUTE)] => feishu::Feishu;
    /// SMS by Aliyun.
    AliyunSms = "aliyun_sms", "阿里云短信", "Aliyun SMS", Reach::Phone, [per_s(40, DAY)] => aliyun_sms::AliyunSms;
    /// A call by Aliyun.
    AliyunVoice = "aliyun_voice", "阿里云语音", "Aliyun voice", Reach::Phone, [per_s(1, MINUTE), per_s(5, HOUR), per_s(20, DAY)] => aliyun_voice::AliyunVoice;
    /// SMS by Tencent. Two a day and number until the site has the limit raised there.
    TencentSms = "tencent_sms", "腾讯云短信", "Tencent SMS", Reach::Phone, [per_s(1, 30), per_day(2)] => tencent_sms::TencentSms;
    /// A call by Tencent. Its limits are not published: ours is not to ring twice in a minute.
    TencentVoice = "tencent_voice", "腾讯云语音", "Tencent voice", Reach::Phone, [per_s(1, MINUTE)] => tencent_voice::TencentVoice;
    /// E-mail. Never the only way of an urgent page.
    Smtp = "smtp", "电子邮件", "E-mail", Reach::Address, [] => smtp::Smtp;
    /// A program on this machine.
    Command = "command", "本机程序", "Local program", Reach::Site, [] => command::Command;
    /// The phone on the demo's screen.
    Demo = "demo", "演示手机", "Demo phone", Reach::Site, [] => demo::Demo;
}

/// A channel of this name exists, configured or not.
pub fn is_channel(name: &str) -> bool {
    Channel::parse(name).is_some()
}

/// Every channel's name, in the order of the table.
pub fn channel_names() -> Vec<&'static str> {
    Channel::ALL.iter().map(|channel| channel.name()).collect()
}

/// What a channel may know of a page: nothing that identifies the elder to a stranger, and no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub page: PageId,
    pub alarm: AlarmId,
    /// 1 for the first.
    pub attempt: u32,
    pub priority: Priority,
    /// Slug of the rule: `sos`, `spo2_low`.
    pub kind: String,
    /// The rule's labels: 紧急呼叫, SOS.
    pub title_zh: String,
    pub title_en: String,
    /// Masked name.
    pub elder: String,
    /// When the condition began.
    pub at: Time,
    pub ack_url: String,
    /// Digits by which the person, or a dispatcher for them, says "I have it" where no link is possible.
    pub code: Option<String>,
    /// Opens without signing in and accepts once: only for channels whose texts may hold a link.
    pub tap_url: Option<String>,
    /// A test of the channel: it says so, and nobody has to answer.
    pub test: bool,
}

impl Message {
    /// One that shows every value, to check a template with.
    pub(crate) fn example() -> Self {
        Self {
            page: PageId(1),
            alarm: AlarmId(1),
            attempt: 1,
            priority: Priority::P1,
            kind: "sos".into(),
            title_zh: "紧急呼叫".into(),
            title_en: "SOS".into(),
            elder: "王*明".into(),
            at: Time(0),
            ack_url: "https://vigil.example.org/phone/pages/1".into(),
            code: Some("0000".into()),
            tap_url: Some("https://vigil.example.org/a/1".into()),
            test: false,
        }
    }

    /// The test of a channel.
    pub(crate) fn test(now: Time) -> Self {
        Self {
            page: PageId(0),
            alarm: AlarmId(0),
            priority: Priority::T,
            kind: "channel_test".into(),
            title_zh: "通道测试,无需处理".into(),
            title_en: "Test of the channel, nothing to do".into(),
            elder: String::new(),
            at: now,
            ack_url: String::new(),
            code: None,
            tap_url: None,
            test: true,
            ..Self::example()
        }
    }
}

/// Whom one page goes to. One recipient a request: a partial success never has to be untangled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub person: PersonId,
    /// Mobile number as registered; empty when unknown. Never in a log.
    pub phone: String,
    /// The person's address in this channel (a WeCom user id, an e-mail address), when the channel needs one.
    pub address: Option<String>,
    /// `zh` or `en`.
    pub language: String,
}

/// What became of one attempt. `detail` is for the operator; no personal data, no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub fate: Fate,
    pub detail: String,
    /// The provider's name for this message, by which its receipts and replies come.
    pub provider_ref: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The provider has it. Not: the person.
    Accepted,
    /// Try again; not before `after`, when the provider said so.
    Retry { after: Option<Duration> },
    /// This person cannot be reached by this channel: not before `until` from now, when it is a quota; else not at all.
    RefusedPerson { until: Option<Duration> },
    /// The channel is set up wrongly.
    Misconfigured,
    /// It went out and no answer came: it may have arrived.
    InDoubt,
}

impl Sent {
    pub fn new(fate: Fate, detail: impl Into<String>) -> Self {
        Self { fate, detail: detail.into(), provider_ref: None }
    }
}

/// The channels that are configured.
#[derive(Debug)]
pub struct Channels {
    senders: Senders,
}

impl Channels {
    pub fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self { senders: Senders::new(&config.channels)? })
    }

    /// Sends once. The recipient of a group robot or a webhook is who is meant, not an address.
    pub async fn send(&self, channel: &str, to: &Recipient, message: &Message, now: Time) -> Sent {
        match Channel::parse(channel) {
            Some(channel) => self.senders.send(channel, to, message, now).await,
            None => Sent::new(Fate::Misconfigured, "no such channel"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_words_and_found_again() {
        let names = channel_names();
        assert_eq!(names.len(), 12);
        for name in &names {
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(Channel::parse(name).map(Channel::name), Some(*name));
            assert!(is_channel(name));
        }
        assert!(!is_channel("pigeon") && !is_channel(""));
    }
}
