//! Outages: one incident in place of many silence alarms, whom nobody watches by risk, technical alarms that become urgent, and the
//! storm.

use model::entry::LinkState;
use model::{GatewayId, Handling, Name};

use super::*;

const MINUTE: i64 = 60;
const SILENCE: AlarmKind = AlarmKind::Silence { silent_s: 1_800 };

/// A village: `count` elders with a band each.
struct Village {
    house: House,
    gateways: Vec<GatewayId>,
    elders: Vec<ElderId>,
}

impl Village {
    /// `shared`: all behind one gateway; else a gateway each.
    fn new(count: usize, shared: bool) -> Self {
        let house = house();
        let site = house.records.create_site(&Name::new("dongxiang").unwrap()).unwrap();
        let (mut gateways, mut elders) = (Vec::new(), Vec::new());
        for n in 0..count {
            if n == 0 || !shared {
                let name = Name::new(&format!("gw-{n}")).unwrap();
                gateways.push(house.records.create_gateway(site, &name, Dialect::Vigil).unwrap().0);
            }
            let elder = house.records.create_elder(&new_elder(&format!("老人{n}"), Some(house.team))).unwrap();
            let device = Name::new(&format!("band-{n}")).unwrap();
            let device = house.records.ensure_device(*gateways.last().unwrap(), &device).unwrap();
            house.records.bind(device, elder, START, None).unwrap();
            elders.push(elder);
        }
        Self { house, gateways, elders }
    }

    fn tell(&self, elder: ElderId, rule: &str, started_at: Time, change: Change) -> AlarmId {
        let subject = Subject::Elder(elder);
        let told = Transition {
            alarm: AlarmId::of(subject, rule, started_at),
            subject: subject.to_u32(),
            ..self.house.change(rule, started_at, change)
        };
        self.house.apply(std::slice::from_ref(&told));
        told.alarm
    }

    /// Nothing was heard of the elder for half an hour.
    fn silent(&self, elder: ElderId) -> AlarmId {
        let since = self.house.until_ago(30 * MINUTE);
        self.tell(elder, "silence", since, raised(Priority::T, SILENCE, since, false))
    }

    fn link(&self, gateway: GatewayId, state: LinkState) {
        self.house.records.links_changed(&[(gateway, state, self.house.clock.now())]).unwrap();
    }

    fn look(&self) -> usize {
        self.house.records.handling_due(self.house.clock.now(), &|_: &AlarmView| Vec::new()).unwrap().incidents
    }

    fn only_incident(&self) -> IncidentDetail {
        let incidents = self.house.records.incidents(true, 10).unwrap();
        assert_eq!(incidents.len(), 1, "{incidents:?}");
        self.house.records.incident(incidents[0].id).unwrap().unwrap()
    }

    fn listed(&self) -> Vec<AlarmView> {
        self.house.records.alarms_waiting(Class::All, true, 1_000).unwrap()
    }
}

impl House {
    fn until_ago(&self, seconds: i64) -> Time {
        self.clock.now().plus_us(-seconds * 1_000_000)
    }
}

#[test]
fn three_hundred_silent_bands_are_one_thing_to_do() {
    let mut village = Village::new(300, true);
    let elders = village.elders.clone();
    // One has fallen, one has a crisis: they stay where they are.
    let fall = AlarmKind::Event { kind: EventKind::Fall };
    let now = village.house.clock.now();
    let fall = village.tell(elders[5], "fall", now, raised(Priority::P1, fall, now, false));
    let crisis = village.tell(elders[6], "systolic_high", now, raised(Priority::P2, PRESSURE, now, false));
    village.house.pass(MINUTE);
    for elder in &elders {
        village.silent(*elder);
    }
    assert_eq!(village.listed().len(), 302);
    assert_eq!(village.look(), 1);
    village.house.reopen();
    village.look();
    let listed = village.listed();
    assert_eq!(listed.len(), 3, "fall, crisis, and the outage");
    assert_eq!((listed[0].id, listed[1].id, listed[2].priority), (fall, crisis, Priority::T));
    let counts = village.house.records.alarm_counts().unwrap();
    assert_eq!(counts, AlarmCounts { p1: 1, p2: 1, p3: 0, t: 1, unclaimed: 3, parked: 0, grouped: 300 });
    let found = village.only_incident();
    assert_eq!((found.incident.kind, found.incident.count, found.elders.len()), (IncidentKind::Gateway, 300, 300));
    assert_eq!(found.alarm.id, listed[2].id);
    assert_eq!(found.elders[0].elder_id, elders[5], "who has fallen comes first");
    assert_eq!(found.elders[1].elder_id, elders[6]);
    assert!(found.elders[0].high_risk && !found.elders[2].high_risk);
    let member =
        village.house.records.alarms(AlarmFilter { elder: Some(elders[9]), ..AlarmFilter::default() }, 9).unwrap();
    let kinds = village.house.kinds(member[0].id);
    assert_eq!(kinds, ["raised", "grouped"]);
    assert!(village.house.records.audit_alarms(village.house.clock.now()).unwrap().is_empty());
}

#[test]
fn an_incident_is_claimed_and_ends_when_they_are_back() {
    let village = Village::new(8, true);
    let elders = village.elders.clone();
    let since = village.house.until_ago(30 * MINUTE);
    for elder in &elders {
        village.silent(*elder);
    }
    village.look();
    let found = village.only_incident();
    let id = found.alarm.id;
    village.house.records.claim(id, village.house.dispatcher, None).unwrap();
    // Another one falls silent later: it is the same outage.
    village.house.pass(MINUTE);
    for elder in &elders[..6] {
        village.tell(*elder, "silence", since, Change::Cleared);
    }
    assert_eq!(village.look(), 1, "two of eight are left: over");
    assert!(village.house.records.incidents(true, 9).unwrap().is_empty());
    let view = village.house.view(id);
    assert_eq!((view.handling, view.condition), (Handling::Claimed, model::Condition::Cleared), "the seat ends it");
    let resolved = village.house.records.resolve(id, village.house.dispatcher, None, "供电恢复", None).unwrap();
    assert_eq!(resolved.handling, Handling::Closed);
    // Who is still silent is a thing of their own again.
    let mut left: Vec<_> = village.listed().iter().map(|alarm| alarm.elder_id.unwrap()).collect();
    left.sort();
    assert_eq!(left, elders[6..]);
    assert_eq!(village.house.kinds(id), ["raised", "claimed", "cleared", "resolved", "closed"]);
    assert_eq!(village.look(), 0);
}

#[test]
fn a_township_goes_out_as_one_site() {
    let village = Village::new(20, false);
    for gateway in &village.gateways[..3] {
        village.link(*gateway, LinkState::Lost);
    }
    village.house.pass(16 * MINUTE);
    assert_eq!(village.look(), 3, "three homes: an incident each");
    for gateway in &village.gateways[3..12] {
        village.link(*gateway, LinkState::Lost);
    }
    village.house.pass(16 * MINUTE);
    village.look();
    let found = village.only_incident();
    assert_eq!((found.incident.kind, found.elders.len()), (IncidentKind::Site, 12), "the site explains its gateways");
    assert!(found.alarm.rule_zh.contains("片区"));
    assert_eq!(village.listed().len(), 1);
    for gateway in &village.gateways[..11] {
        village.link(*gateway, LinkState::Up);
    }
    village.house.pass(1);
    assert_eq!(village.look(), 1, "the site is over");
    assert_eq!(village.look(), 1, "and what is left of it is one gateway");
    let found = village.only_incident();
    assert_eq!((found.incident.kind, found.incident.gateway), (IncidentKind::Gateway, Some(village.gateways[11])));
}

#[test]
fn a_flicker_a_restart_and_a_few_silent_bands_are_no_incident() {
    let mut village = Village::new(30, false);
    let gateway = village.gateways[0];
    village.link(gateway, LinkState::Lost);
    village.house.pass(14 * MINUTE);
    assert_eq!(village.look(), 0);
    village.link(gateway, LinkState::Up);
    village.house.pass(2 * MINUTE);
    assert_eq!(village.look(), 0);
    // We were away: every link was lost when we stopped, and each gateway gets the time to come back.
    village.link(gateway, LinkState::Lost);
    village.house.pass(3_600);
    village.house.reopen();
    assert_eq!(village.look(), 0);
    village.link(gateway, LinkState::Up);
    village.house.pass(16 * MINUTE);
    assert_eq!(village.look(), 0);
    // Five of thirty homes: bands on tables. Less than a fifth of the site, and nowhere five behind one gateway.
    for elder in village.elders[..5].iter().copied() {
        village.silent(elder);
    }
    assert_eq!(village.look(), 0);
    assert_eq!(village.listed().len(), 5);
    let classes = |class| village.house.records.alarms_waiting(class, true, 9).unwrap().len();
    assert_eq!((classes(Class::Technical), classes(Class::Clinical)), (5, 0));
}

#[test]
fn a_lasting_silence_is_urgent_for_those_at_risk() {
    let mut village = Village::new(2, true);
    let (frail, fit) = (village.elders[0], village.elders[1]);
    let risk = Risk { ability: Some(3), lives_alone: true };
    assert!(village.house.records.set_risk(frail, Risk { ability: Some(5), lives_alone: false }, None).is_err());
    village.house.records.set_risk(frail, risk, Some(village.house.doctor)).unwrap();
    assert_eq!(village.house.records.risk(frail).unwrap(), risk);
    let (frail, fit) = (village.silent(frail), village.silent(fit));
    village.house.pass(30 * MINUTE - 1);
    assert!(village.house.due().is_empty(), "an hour since the last word, not since the alarm");
    village.house.pass(1);
    village.house.reopen();
    assert_eq!(village.house.due(), [(frail, Deadline::Unwatched)]);
    let view = village.house.view(frail);
    assert_eq!((view.priority, view.page_due_at), (Priority::P2, Some(village.house.clock.now())));
    assert_eq!(village.house.view(fit).priority, Priority::T);
    assert_eq!(village.house.kinds(frail), ["raised", "worsened"]);
    assert!(village.house.records.audit_alarms(village.house.clock.now()).unwrap().is_empty());
    // The other one lives alone from today: looked at again within the hour.
    let fit_elder = village.elders[1];
    village.house.records.set_risk(fit_elder, Risk { ability: None, lives_alone: true }, None).unwrap();
    village.house.pass(60 * MINUTE);
    assert_eq!(village.house.due(), [(fit, Deadline::Unwatched)]);
}

#[test]
fn in_an_incident_the_incident_becomes_urgent_once() {
    let village = Village::new(9, true);
    for elder in &village.elders {
        village.house.records.set_risk(*elder, Risk { ability: Some(4), lives_alone: false }, None).unwrap();
        village.silent(*elder);
    }
    village.look();
    let incident = village.only_incident().alarm.id;
    village.house.pass(31 * MINUTE);
    assert_eq!(village.house.due().len(), 1, "nine frail elders, one page");
    let view = village.house.view(incident);
    assert_eq!((view.priority, view.page_due_at), (Priority::P2, Some(village.house.clock.now())));
    assert_eq!(village.listed().len(), 1);
    assert!(village.house.records.audit_alarms(village.house.clock.now()).unwrap().is_empty());
}

#[test]
fn a_storm_begins_above_ten_a_seat_and_ends_below_five() {
    let mut village = Village::new(40, true);
    let watch = village.house.records.watch_storm();
    let fall = |elder: ElderId| {
        let now = village.house.clock.now();
        let kind = AlarmKind::Event { kind: EventKind::DeviceRemoved };
        village.tell(elder, "removed", now, raised(Priority::P3, kind, now, false))
    };
    let ids: Vec<_> = village.elders[..10].iter().map(|elder| fall(*elder)).collect();
    village.look();
    assert!(watch.borrow().is_none(), "ten for one seat");
    fall(village.elders[10]);
    village.look();
    let storm = watch.borrow().unwrap();
    assert_eq!((storm.seats, storm.alarms), (1, 11));
    let view = village.house.view(ids[0]);
    assert_eq!(view.group().as_deref(), Some("rule/removed"));
    let sos = village.house.sos();
    assert_eq!(village.house.view(sos).group(), None, "a call for help is never grouped");
    assert_eq!(
        village.house.view(sos).page_due_at.map(|due| due > village.house.clock.now()),
        Some(true),
        "nor delayed"
    );
    village.house.reopen();
    assert_eq!(village.house.records.watch_storm().borrow().map(|storm| storm.since), Some(storm.since), "remembered");
    let watch = village.house.records.watch_storm();
    village.house.pass(9 * MINUTE);
    village.look();
    assert!(watch.borrow().is_some());
    village.house.pass(2 * MINUTE);
    village.look();
    assert!(watch.borrow().is_none());
    // With three seats thirty alarms are no storm.
    for login in ["wang", "zhao"] {
        village.house.records.login(login, PASSWORD).unwrap();
    }
    for elder in village.elders[..20].iter().copied() {
        let now = village.house.clock.now();
        let kind = AlarmKind::Event { kind: EventKind::DeviceError };
        village.tell(elder, "error", now, raised(Priority::T, kind, now, false));
    }
    village.look();
    assert!(watch.borrow().is_none(), "twenty for two seats");
}
