//! A small house to test in: two teams, eight people, two elders, one bound and one loose device, and HTTP clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use console::{ChannelName, Check, Config, Demo, Deps, Paging};
use model::alarm::{Change, Transition};
use model::entry::{Entry, Flags, Frame};
use model::layer::{Layer, Scope};
use model::people::{Role, Sex};
use model::policy::NextStep;
use model::rule::{Level, Rule, RuleSet, Side, Test, Threshold};
use model::{
    AlarmId, AlarmKind, DeviceId, ElderId, EventKind, GatewayId, Lane, Metric, Name, PageId, PersonId, Priority,
    Quality, Sample, Seq, Subject, TeamId, Time,
};
use runtime::{Clock, Stop};
use serde_json::Value;
use store::readings::Readings;
use store::records::{
    AlarmFilter, AssignmentFilter, Dialect, NewAssignment, NewElder, NewMeasurement, NewPage, NewPerson, NewQuiet,
    Records,
};

pub(crate) const PASSWORD: &str = "Correct-horse-7";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_dmlnaWwtdGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2Q=";
pub(crate) const CALLBACK_WORD: &str = "0123456789abcdef0123456789abcdef";
/// When every story begins.
pub(crate) const NOON: &str = "2026-11-22T04:00:00Z";

pub(crate) struct House {
    pub(crate) records: Records,
    pub(crate) readings: Readings,
    pub(crate) clock: Clock,
    pub(crate) base: String,
    /// 王秀英 of team A.
    pub(crate) wang: ElderId,
    /// 李建国 of team B.
    pub(crate) li: ElderId,
    /// Worn by 王秀英.
    pub(crate) band: DeviceId,
    /// Worn by nobody.
    pub(crate) loose: DeviceId,
    /// Doctor of team A.
    pub(crate) doctor: PersonId,
    next: AtomicU64,
    stop: Stop,
    _dir: tempfile::TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.request();
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(Config::default()).await
    }

    pub(crate) async fn open_with(config: Config) -> Self {
        // The HTTP client insists on a TLS provider, also for plain HTTP. A second installation is refused: fine.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Time::parse(NOON).unwrap());
        let records = Records::open(dir.path(), clock.clone()).unwrap();
        let readings = Readings::open(dir.path(), &store::readings::Config::default()).unwrap();
        let seeded = seed(&records, clock.now());
        let stop = Stop::new();
        let bound = console::bind(Config { listen: "127.0.0.1:0".to_owned(), ..config }).await.unwrap();
        let base = format!("http://{}", bound.addr);
        let deps = deps(&records, &readings, &clock);
        tokio::spawn(bound.run(deps, stop.clone()));
        let Seeded { wang, li, band, loose, doctor } = seeded;
        let next = AtomicU64::new(0);
        Self { records, readings, clock, base, wang, li, band, loose, doctor, next, stop, _dir: dir }
    }

    /// A gap of the first gateway, and a loss it declared.
    pub(crate) fn gap(&self) -> i64 {
        use model::note::LossCause;
        use store::records::{Gap, Loss};
        let (gateway, now) = (model::GatewayId(1), self.clock.now());
        let mut gaps = [Gap::found(gateway, (1, model::Lane::Vit), (5, 9), now)];
        self.records.gaps_save(&mut gaps).unwrap();
        let loss = Loss {
            gateway,
            epoch: 1,
            lane: model::Lane::Wav,
            first: 1,
            last: 10,
            cause: LossCause::DiskBudget,
            by_server: false,
            thinned: false,
            readings: 0,
            kept: 0,
            declared_at: now,
        };
        self.records.losses_put(&[loss]).unwrap();
        gaps[0].id
    }

    /// A fall of this elder, as the engine would report it; pages the doctor of team A.
    pub(crate) fn fall(&self, elder: ElderId) -> AlarmId {
        self.raise(&[elder])[0]
    }

    /// One fall of each of these elders, in one transaction.
    pub(crate) fn raise(&self, elders: &[ElderId]) -> Vec<AlarmId> {
        self.raise_as(elders, "fall", Priority::P1, AlarmKind::Event { kind: EventKind::Fall })
    }

    /// A systolic pressure of 186, of class P2.
    pub(crate) fn crisis(&self, elder: ElderId) -> AlarmId {
        let kind = AlarmKind::Threshold { metric: Metric::Systolic, high: true, value: 186.0, limit: 180.0 };
        self.raise_as(&[elder], "systolic_high", Priority::P2, kind)[0]
    }

    /// An incident: the first gateway has been out of reach for long. The same one until it is over.
    pub(crate) fn outage(&self) -> i64 {
        use model::entry::LinkState;
        let lost = self.clock.now();
        self.records.links_changed(&[(GatewayId(1), LinkState::Lost, lost)]).unwrap();
        // Looked at from an hour later; the clock of the house stands.
        self.records.handling_due(lost.plus_us(3_600_000_000), &|_: &_| Vec::new()).unwrap();
        self.records.incidents(true, 1).unwrap()[0].id
    }

    pub(crate) fn doctor_without_a_team(&self, login: &str) -> PersonId {
        let new = NewPerson {
            name: "刘医生".to_owned(),
            phone: String::new(),
            role: Role::Doctor,
            login: login.to_owned(),
            password: PASSWORD.to_owned(),
            team: None,
            language: "zh".to_owned(),
            on_call_order: None,
        };
        self.records.create_person(&new).unwrap()
    }

    pub(crate) fn person(&self, login: &str) -> PersonId {
        self.records.persons().unwrap().into_iter().find(|person| person.login == login).unwrap().id
    }

    /// A fall whose page goes by this channel.
    pub(crate) fn fall_by(&self, elder: ElderId, channel: &str) -> (AlarmId, PageId) {
        let fall = AlarmKind::Event { kind: EventKind::Fall };
        let alarm = self.raise_by(&[elder], "fall", Priority::P1, fall, channel)[0];
        (alarm, self.page_of(alarm))
    }

    pub(crate) fn raise_as(&self, elders: &[ElderId], rule: &str, priority: Priority, kind: AlarmKind) -> Vec<AlarmId> {
        self.raise_by(elders, rule, priority, kind, "webhook")
    }

    fn raise_by(
        &self,
        elders: &[ElderId],
        rule: &str,
        priority: Priority,
        kind: AlarmKind,
        channel: &str,
    ) -> Vec<AlarmId> {
        let now = self.clock.now();
        let transitions: Vec<Transition> = elders
            .iter()
            .map(|elder| {
                let n = self.next.fetch_add(1, Ordering::Relaxed);
                // The same rule of the same elder again would be the same alarm: the second has a rule of its own.
                let known = AlarmFilter { elder: Some(*elder), ..AlarmFilter::default() };
                let before = !self.records.alarms(known, 1).unwrap().is_empty();
                let rule = &if before { format!("{rule}_{n}") } else { rule.to_owned() };
                let started_at = now.plus_us(n as i64);
                let subject = Subject::Elder(*elder);
                Transition {
                    alarm: AlarmId::of(subject, rule, started_at),
                    subject: subject.to_u32(),
                    rule: rule.to_owned(),
                    rules_version: 1,
                    change: Change::Raised { priority, kind, started_at, late: false },
                    at: started_at,
                    received_at: now,
                }
            })
            .collect();
        let cursor = Seq(self.next.load(Ordering::Relaxed));
        let (doctor, channel) = (self.doctor, channel.to_owned());
        let page = move |_: &_| vec![NewPage::to(doctor, &channel)];
        self.records.apply(&transitions, cursor, now, &page).unwrap();
        transitions.iter().map(|transition| transition.alarm).collect()
    }

    /// A systolic value of the loose device, which many people share. The same number is the same measurement.
    pub(crate) fn measurement(&self, seq: u64, elder: Option<ElderId>) {
        let at = self.clock.now();
        let frame = Frame {
            gateway: GatewayId(1),
            device: self.loose,
            subject: elder.map_or(Subject::Unattributed(self.loose), Subject::Elder),
            lane: Lane::Vit,
            flags: Flags(Flags::SHARED),
            epoch: 1,
            seq,
            received_at: at,
            events: vec![],
            samples: vec![Sample::new(Metric::Systolic, at, 150.0 + seq as f64, Quality::Ok)],
            extras: model::Extras::default(),
        };
        let told = NewMeasurement {
            gateway: frame.gateway,
            lane: frame.lane,
            epoch: 1,
            seq,
            device: self.loose,
            taken_at: at,
            received_at: at,
            elder,
            cause: elder.is_none().then_some("no_session"),
            unknown_key: None,
            frame: Entry::Frame(frame).to_bytes(),
        };
        self.records.measurement_put(&told).unwrap();
    }

    /// 王秀英 has the template `htn`, newly assigned by her doctor.
    pub(crate) fn assignment(&self) -> u32 {
        self.end_assignments();
        let (layer, scope, reason) = ("htn".to_owned(), Scope::Elder(self.wang), "高血压".to_owned());
        self.records.assign(&NewAssignment { layer, scope, from: None, until: None, reason }, self.doctor).unwrap()
    }

    pub(crate) fn end_assignments(&self) {
        for one in self.records.assignments(&AssignmentFilter::default(), 10).unwrap() {
            self.records.end_assignment(one.id, self.doctor, "again").unwrap();
        }
    }

    /// 王秀英 travels.
    pub(crate) fn quiet(&self) -> u32 {
        let until = self.clock.now().plus_us(86_400_000_000);
        let (kind, whose) = (model::QuietKind::Travel, model::Whose::Elder(self.wang));
        let new = NewQuiet { kind, whose, from: None, until, reason: "探亲".to_owned() };
        self.records.quiet_begin(&new, self.doctor).unwrap()
    }

    /// The page that went out for an alarm.
    pub(crate) fn page_of(&self, alarm: AlarmId) -> PageId {
        self.records.alarm(alarm).unwrap().unwrap().pages[0].id
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client { http: reqwest::Client::new(), base: self.base.clone(), cookie: None }
    }

    /// Signed in by the store itself: the way over HTTP has its own story.
    pub(crate) fn signed_in(&self, login: &str) -> Client {
        let (_, token) = self.records.login(login, PASSWORD).unwrap();
        Client { cookie: Some(format!("vigil_session={}", token.0)), ..self.anonymous() }
    }
}

struct Seeded {
    wang: ElderId,
    li: ElderId,
    band: DeviceId,
    loose: DeviceId,
    doctor: PersonId,
}

fn seed(records: &Records, now: Time) -> Seeded {
    let (team_a, team_b) = (records.create_team("A 队").unwrap(), records.create_team("B 队").unwrap());
    let person = |login: &str, name: &str, role, team: Option<TeamId>| {
        records
            .create_person(&NewPerson {
                name: name.to_owned(),
                phone: "13800000000".to_owned(),
                role,
                login: login.to_owned(),
                password: PASSWORD.to_owned(),
                team,
                language: "zh".to_owned(),
                on_call_order: (role == Role::Doctor).then_some(1),
            })
            .unwrap()
    };
    person("zhang", "张敏", Role::Dispatcher, None);
    person("zhou", "周强", Role::Dispatcher, None);
    let doctor = person("chen", "陈医生", Role::Doctor, Some(team_a));
    person("sun", "孙护士", Role::Nurse, Some(team_a));
    person("zhao", "赵医生", Role::Doctor, Some(team_b));
    person("admin", "管理员", Role::Administrator, None);
    person("ban", "班长", Role::Supervisor, None);
    person("wangge", "网格员小吴", Role::Responder, Some(team_a));
    let elder = |name: &str, phone: &str, team| {
        records
            .create_elder(&NewElder {
                name: name.to_owned(),
                sex: Sex::Female,
                birth_date: Some("1944-03-02".to_owned()),
                phone: phone.to_owned(),
                address: "幸福路 8 号 2-301".to_owned(),
                notes: "独居".to_owned(),
                team: Some(team),
            })
            .unwrap()
    };
    let (wang, li) = (elder("王秀英", "13911112222", team_a), elder("李建国", "13933334444", team_b));
    let site = records.create_site(&Name::new("home").unwrap()).unwrap();
    let (gateway, _token) = records.create_gateway(site, &Name::new("gw-1").unwrap(), Dialect::Vigil).unwrap();
    let band = records.ensure_device(gateway, &Name::new("band").unwrap()).unwrap();
    let loose = records.ensure_device(gateway, &Name::new("loose").unwrap()).unwrap();
    records.bind(band, wang, now, None).unwrap();
    records.ensure_default_rules(&rules(180.0)).unwrap();
    records.ensure_layers(&[template(140.0)]).unwrap();
    Seeded { wang, li, band, loose, doctor }
}

/// A condition template `htn`: a worklist limit of systolic pressure.
pub(crate) fn template(limit: f64) -> Layer {
    serde_json::from_value(serde_json::json!({
        "name": "htn", "tier": "condition", "zh": "高血压", "en": "Hypertension", "source": "test [P]", "year": 2024,
        "patches": [{ "rule": "systolic_high", "why": "P3", "change":
            { "levels": { "set": [{ "priority": "P3", "limit": limit, "hold_s": 0 }] } } }],
    }))
    .unwrap()
}

/// One rule: systolic pressure at or above `limit`.
pub(crate) fn rules(limit: f64) -> RuleSet {
    let threshold = Threshold {
        metric: Metric::Systolic,
        side: Side::High,
        levels: vec![Level { priority: Priority::P1, limit, hold_s: 0 }],
        clear_margin: 5.0,
        confirm: None,
    };
    let rule = Rule {
        slug: "systolic_high".to_owned(),
        zh: "收缩压偏高".to_owned(),
        en: "Systolic pressure high".to_owned(),
        test: Test::Threshold(threshold),
        latching: true,
        hours: None,
    };
    RuleSet { name: "test".to_owned(), version: 1, source: "test".to_owned(), rules: vec![rule] }
}

fn deps(records: &Records, readings: &Readings, clock: &Clock) -> Deps {
    let asker = records.clone();
    let (replayer, replay_clock) = (records.clone(), clock.clone());
    Deps {
        records: records.clone(),
        readings: readings.clone(),
        clock: clock.clone(),
        publish_rules: Arc::new(|| true),
        decide: {
            let records = records.clone();
            Arc::new(move |decision| records.move_measurements(decision))
        },
        next_pages: Arc::new(|alarm| {
            alarm.page_due_at.map(|due| NextStep {
                policy: "p1".to_owned(),
                policy_version: 1,
                step: 2,
                steps: 6,
                due,
                people: vec![],
                channels: vec!["webhook".to_owned()],
            })
        }),
        channels: [("webhook", true), ("smtp", false)]
            .map(|(name, configured)| ChannelName {
                name: name.to_owned(),
                zh: name.to_owned(),
                en: name.to_owned(),
                configured,
            })
            .into(),
        paging: Paging {
            states: Arc::new(|| Ok(vec![serde_json::json!({ "name": "webhook", "configured": true })])),
            test: Arc::new(|channel, _| {
                Box::pin(
                    async move { Ok((channel == "webhook").then(|| serde_json::json!({ "ok": true, "detail": "" }))) },
                )
            }),
            callbacks: ["aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice"]
                .map(|name| (name.to_owned(), CALLBACK_WORD.to_owned()))
                .into(),
            webhook_secret: Some(WEBHOOK_SECRET.to_owned()),
        },
        identity_key: Some(model::identity::IdentityKey::new([7; 32])),
        replay_quarantine: Arc::new(move |id| {
            replayer.quarantine_mark_replayed(id, replay_clock.now()).map_err(|error| error.to_string())
        }),
        ask_again: Arc::new(move |id| asker.gap(id).map(drop).map_err(|error| error.to_string())),
        health: Arc::new(|| vec![Check { name: "journal".to_owned(), ok: true, detail: "0 bytes queued".to_owned() }]),
        writer: Arc::new(|| serde_json::json!({ "store": "embedded" })),
        metrics: Arc::new(|| "vigil_console_test 1\n".to_owned()),
        demo: Some(Demo { webhook_secret: WEBHOOK_SECRET.to_owned() }),
    }
}

/// A browser without a screen.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) cookie: Option<String>,
}

impl Client {
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.request("POST", path).json(body)).await
    }
}

/// Status and JSON of an answer; `null` when there is no JSON in it.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}
