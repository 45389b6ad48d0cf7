//! Through the whole pager: an SOS, a policy with three providers in a row, and what each says.

use model::Priority;
use model::alarm::AlarmEventKind as Kind;
use model::page::PageState;
use model::policy::{Policy, Step, StopOn, Target};
use serde_json::json;
use store::records::AlarmDetail;
use vigil_alerting::{ChannelConfigs, Config};

use super::fake::aliyun::Aliyun;
use super::fake::robots::Ding;
use super::fake::server::{Fake, Fault};
use super::fake::tencent::Tencent;
use super::{aliyun, robots, tencent};
use crate::world::{World, kinds, sos, stop};

struct Providers {
    ding: Fake<Ding>,
    aliyun: Fake<Aliyun>,
    tencent: Fake<Tencent>,
}

impl Providers {
    async fn start() -> Self {
        Self {
            ding: Fake::start(Ding::default()).await,
            aliyun: Fake::start(Aliyun::default()).await,
            tencent: Fake::start(Tencent::default()).await,
        }
    }

    fn config(&self) -> Config {
        let tables = json!({
            "dingtalk": robots::ding(&self.ding.url),
            "aliyun_voice": aliyun::voice(&self.aliyun.url),
            "tencent_sms": sms_without_code(&self.tencent.url),
        });
        let channels: ChannelConfigs = serde_json::from_value(tables).unwrap();
        Config { channels, ..Config::default() }
    }
}

fn sms_without_code(base: &str) -> serde_json::Value {
    let mut table = tencent::sms(base);
    table["params"] = json!(["elder", "kind", "time"]);
    table
}

/// From now on a P1 pages who is on call by these channels in turn.
fn policy(world: &World, channels: &[&str]) {
    let records = &world.records;
    records.ensure_policies(&vigil_alerting::shipped_policies(&Config::default())).unwrap();
    let step = Step {
        wait_s: 0,
        targets: vec![Target::OnCall { duty: None, backup: false }],
        channels: channels.iter().map(|&name| name.into()).collect(),
        stop_on: StopOn::Accept,
        only_priorities: vec![],
        only_hours: None,
        skip_if_empty: true,
    };
    let version = records.policy_for(Priority::P1).unwrap().unwrap().version;
    let steps = vec![step];
    let policy = Policy { name: "p1".into(), version, priorities: vec![Priority::P1], steps, repeat_s: 120 };
    records.save_policy(policy, &vigil_alerting::is_channel, Some(world.doctors[0]), "test").unwrap();
}

fn way(alarm: &AlarmDetail) -> Vec<(&str, PageState)> {
    alarm.pages.iter().map(|page| (page.channel.as_str(), page.state)).collect()
}

fn taken_by(channel: &str) -> impl Fn(&AlarmDetail) -> bool {
    move |alarm| way(alarm).last() == Some(&(channel, PageState::ProviderAccepted))
}

#[tokio::test]
async fn a_page_goes_from_provider_to_provider_until_one_has_it() {
    let world = World::new();
    let mut providers = Providers::start().await;
    policy(&world, &["dingtalk", "aliyun_voice", "tencent_sms"]);
    // 200 and a refusal; 200 and a limit that is used up.
    let refusal = json!({"errcode": 310_000, "errmsg": "ip 1.2.3.4 not in whitelist"}).to_string();
    providers.ding.faults([Fault::Say(200, refusal)]);
    let limit = json!({"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": "触发分钟级流控Permits:1", "RequestId": "R"});
    providers.aliyun.faults([Fault::Say(200, limit.to_string())]);
    let (_, tasks) = world.start(&providers.config());
    world.say(&sos(world.elder, 0)).await;
    let alarm = world.alarm_when("the third way", taken_by("tencent_sms")).await;
    let expected = [
        ("dingtalk", PageState::PermFailed),
        ("aliyun_voice", PageState::PermFailed),
        ("tencent_sms", PageState::ProviderAccepted),
    ];
    assert_eq!(way(&alarm), expected);
    assert!(alarm.pages.iter().all(|page| page.person.id == world.doctors[0].0), "one person by three ways");
    let details: Vec<_> = alarm.pages.iter().map(|page| page.attempts[0].detail.clone()).collect();
    assert!(details[0].contains("310000") && details[1].contains("this minute"), "{details:?}");
    assert!(kinds(&alarm).contains(&Kind::PageFailed));
    let words = providers.tencent.request().await.json()["TemplateParamSet"].clone();
    assert_eq!((&words[0], &words[1]), (&json!("王*明"), &json!("紧急呼叫")));
    providers.ding.paths();
    providers.aliyun.paths();
    stop(tasks).await;
}

/// A provider that takes the request and never answers: the other way is taken before its time-out has cost more than one page.
#[tokio::test]
async fn a_provider_that_hangs_sends_its_page_another_way_and_holds_no_other_up() {
    let world = World::new();
    let mut providers = Providers::start().await;
    policy(&world, &["aliyun_voice", "tencent_sms"]);
    providers.aliyun.faults([Fault::Hang]);
    let mut config = providers.config();
    config.channels.aliyun_voice.as_mut().unwrap().timeout_s = 1;
    let (_, tasks) = world.start(&config);
    world.say(&sos(world.elder, 0)).await;
    let alarm = world.alarm_when("the second way", taken_by("tencent_sms")).await;
    assert_eq!(way(&alarm)[0], ("aliyun_voice", PageState::InDoubt));
    providers.aliyun.paths();
    providers.tencent.paths();
    stop(tasks).await;
}
