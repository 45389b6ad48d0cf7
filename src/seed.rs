//! Fills a registry: the demo's small county, a benchmark's thousand elders, a fleet's gateways.
//!
//! Every name is invented; telephone numbers are of the form 1380000xxxx, which belong to nobody.

use anyhow::Context;
use model::people::{Role, Sex};
use model::{ElderId, Name, PersonId, TeamId};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use store::records::{Dialect, NewElder, NewPerson, Records};

const FAMILY_NAMES: [&str; 16] =
    ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林"];
const GIVEN_NAMES_F: [&str; 10] = ["秀英", "桂兰", "玉珍", "淑芬", "秀兰", "桂英", "凤英", "玉梅", "素珍", "春花"];
const GIVEN_NAMES_M: [&str; 10] = ["建国", "志强", "国庆", "德明", "永福", "长江", "文斌", "保田", "振华", "金山"];
/// History, medicine, allergies and who holds the key: what a dispatcher reads to the ambulance.
const NOTES: [&str; 6] = [
    "高血压 2 级,服氨氯地平 5 mg 每日一次。独居,邻居存有钥匙。",
    "2 型糖尿病,服二甲双胍。青霉素过敏。与老伴同住。",
    "冠心病,支架术后,服阿司匹林。独居,女儿住同一小区。",
    "慢性阻塞性肺疾病,家中有制氧机。无药物过敏。",
    "脑梗死后遗症,右侧肢体乏力,用助行器。护工白天在家。",
    "骨质疏松,曾有髋部骨折。听力差,电话请多响几声。",
];
const STREETS: [&str; 6] = ["幸福里社区", "向阳村", "东关街", "沐浴阳光公寓", "塔中社区", "南沟村"];

/// A made-up gateway: what a client needs to publish for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gateway {
    pub site: Name,
    pub name: Name,
    pub token: String,
    pub devices: Vec<Name>,
    /// Who wears them, in the same order.
    pub elders: Vec<u32>,
}

/// Adds a person who signs in; doctors and nurses are put on call in the order they are added.
pub fn person(
    records: &Records,
    login: &str,
    password: &str,
    name: &str,
    role: Role,
    team: Option<TeamId>,
) -> anyhow::Result<PersonId> {
    let order = records.persons()?.len() as u32;
    let id = records.create_person(&NewPerson {
        name: name.to_owned(),
        phone: format!("1380000{:04}", 1_000 + order),
        role,
        login: login.to_owned(),
        password: password.to_owned(),
        team,
        language: "zh".to_owned(),
        on_call_order: role.accepts_pages().then_some(order),
    })?;
    Ok(id)
}

/// A made-up elder, the same for the same seed.
pub fn elder(records: &Records, seed: u64, team: Option<TeamId>) -> anyhow::Result<ElderId> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let female = rng.random_bool(0.55);
    let family = FAMILY_NAMES.choose(&mut rng).copied().unwrap_or("王");
    let given = if female { GIVEN_NAMES_F } else { GIVEN_NAMES_M };
    let given = given.choose(&mut rng).copied().unwrap_or("平");
    let street = STREETS.choose(&mut rng).copied().unwrap_or("东关街");
    let address = format!("{street} {} 号楼 {} 室", rng.random_range(1..30), rng.random_range(101..600));
    // Any quality of the seed will do; drawing it from `rng` would change everybody's name.
    let notes = NOTES[(seed % NOTES.len() as u64) as usize];
    let born =
        format!("{}-{:02}-{:02}", rng.random_range(1932..1960), rng.random_range(1..=12), rng.random_range(1..=28));
    Ok(records.create_elder(&NewElder {
        name: format!("{family}{given}"),
        sex: if female { Sex::Female } else { Sex::Male },
        birth_date: Some(born),
        phone: format!("1380000{:04}", rng.random_range(2_000..9_999)),
        address,
        notes: notes.to_owned(),
        team,
    })?)
}

/// A gateway with `count` devices `d000`.., each bound to a new elder.
pub fn gateway_with_devices(
    records: &Records,
    site: &Name,
    name: &str,
    count: usize,
    team: Option<TeamId>,
) -> anyhow::Result<Gateway> {
    let site_id = records.create_site(site)?;
    let name = Name::new(name).context("gateway name")?;
    let (id, token) = records.create_gateway(site_id, &name, Dialect::Vigil)?;
    let mut gateway = Gateway { site: site.clone(), name, token, devices: Vec::new(), elders: Vec::new() };
    for i in 0..count {
        let device = Name::new(&format!("d{i:03}"))?;
        let device_id = records.ensure_device(id, &device)?;
        let elder = elder(records, u64::from(id.0) * 1_000 + i as u64, team)?;
        records.bind(device_id, elder, BOUND_SINCE, None)?;
        gateway.devices.push(device);
        gateway.elders.push(elder.0);
    }
    Ok(gateway)
}

/// Bindings of made-up devices hold since before any reading: 2020-01-01.
pub const BOUND_SINCE: model::Time = model::Time::from_secs(1_577_836_800);
