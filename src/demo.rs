//! `vigil demo`: a whole small county on one machine: server, two simulated gateways, teams, logins, and a phone inbox that
//! takes the pages. Everything is real but the bodies: the gateways connect over MQTT with tokens like any other.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gateway::sim::{self, Planned, Scenario};
use model::people::Role;
use model::rule::{RuleSet, Test};
use model::{ElderId, Name};
use runtime::{Clock, Tasks};
use store::records::{Dialect, Records};

use crate::server::{Server, say, terminated, wait};
use crate::{cli, seed};

/// Says that a folder was made by the demo and may be made anew.
const MARKER: &str = ".vigil-demo";
/// Hours of the past that the simulated elders bring along, so that trends are not empty.
const PAST_H: u32 = 168;
/// Elders whose thresholds the demo's doctor has set to confirm within seconds, so that a visitor need not wait for a minute.
const QUICK: [u32; 2] = [2, 3];
const QUICK_HOLD_S: u32 = 10;
/// Devices of the health cabin; they belong to nobody and show as unattributed.
const CABIN_ELDERS: u32 = 1;

/// Login, name and role of everybody who can sign in.
const PEOPLE: [(&str, &str, Role, Option<usize>); 8] = [
    ("zuoxi", "张敏", Role::Dispatcher, None),
    ("zuoxi2", "刘芳", Role::Dispatcher, None),
    ("yisheng", "李建华", Role::Doctor, Some(0)),
    ("hushi", "王丽", Role::Nurse, Some(0)),
    ("chen", "陈国强", Role::Doctor, Some(1)),
    ("admin", "赵海", Role::Administrator, None),
    ("banzhang", "周敏", Role::Supervisor, None),
    ("wangge", "吴刚", Role::Responder, Some(0)),
];
const TEAMS: [&str; 2] = ["城关家庭医生团队", "东乡家庭医生团队"];

/// Runs until stopped.
pub async fn run(args: cli::Demo) -> anyhow::Result<()> {
    let listen = free(args.listen)?;
    prepare(&args.data_dir, args.keep)?;
    let data = args.data_dir.join("server");
    let records = Records::open(&data, Clock::system())?;
    let password = password()?;
    let gateways = populate(&records, &args, &password)?;
    drop(records);
    let secret = secret()?;
    let server = Server::start(
        server_config(&data, listen, args.mqtt, &secret)?,
        Some(console::Demo { webhook_secret: secret }),
    )
    .await?;
    let edge = Tasks::new();
    for mut gateway in gateways {
        gateway.port = server.mqtt_addr.port();
        edge.spawn("demo.gateway", |stop| async move {
            if let Err(error) = gateway::run(gateway, Clock::system(), stop).await {
                tracing::error!(%error, "a simulated gateway has ended");
            }
        });
    }
    let terminated = terminated();
    welcome(&server, &password);
    say(&server.listening());
    let failed = wait(&server, terminated).await;
    edge.stop(std::time::Duration::from_secs(5)).await;
    server.stop().await;
    anyhow::ensure!(!failed, "a part of the server ended by itself; the log above says which");
    Ok(())
}

/// An address with port 0 becomes one with a free port: the pages' address is needed before the console is bound.
fn free(addr: SocketAddr) -> anyhow::Result<SocketAddr> {
    let probe = std::net::TcpListener::bind(addr)
        .with_context(|| format!("cannot listen on {addr}: stop what uses it, or choose another with --listen"))?;
    Ok(probe.local_addr()?)
}

/// Makes the folders; an old demo goes first unless it is to be kept. Never removes what the demo has not made.
fn prepare(dir: &Path, keep: bool) -> anyhow::Result<()> {
    if dir.exists() && !keep {
        let empty = std::fs::read_dir(dir)?.next().is_none();
        if !empty && !dir.join(MARKER).exists() {
            bail!("{} was not made by the demo: choose another folder with --data-dir", dir.display());
        }
        std::fs::remove_dir_all(dir).with_context(|| format!("cannot remove the old demo in {}", dir.display()))?;
    }
    std::fs::create_dir_all(dir.join("server")).with_context(|| format!("cannot create {}", dir.display()))?;
    std::fs::write(dir.join(MARKER), "made by vigil demo; removed at its next start\n")?;
    Ok(())
}

fn server_config(data: &Path, listen: SocketAddr, mqtt: SocketAddr, secret: &str) -> anyhow::Result<config::Server> {
    let mut config = config::Server::in_dir(data);
    config.console.listen = listen.to_string();
    config.mqtt.listen = mqtt;
    config.alerting.public_url = format!("http://{listen}");
    let webhook = format!("url = \"http://{listen}/demo/phone\"\nsecret = \"{secret}\"\nallow_private = true\n");
    config.alerting.channels.webhook = Some(toml::from_str(&webhook)?);
    Ok(config)
}

/// People, elders, devices and gateways; with `--keep` what is there stays and only passwords and tokens are new.
fn populate(records: &Records, args: &cli::Demo, password: &str) -> anyhow::Result<Vec<gateway::Config>> {
    let known = records.persons()?;
    if !known.is_empty() {
        for person in known {
            records.set_password(person.id, password)?;
        }
        let gateways = records.gateways()?;
        let known =
            gateways.into_iter().map(|g| Ok(gateway_config(args, g.site_name, g.name, records.rotate_token(g.id)?)));
        return known.collect();
    }
    let teams = TEAMS.iter().map(|name| records.create_team(name)).collect::<Result<Vec<_>, _>>()?;
    for (login, name, role, team) in PEOPLE {
        seed::person(records, login, password, name, role, team.map(|i| teams[i]))?;
    }
    let (home, cabin) = (Name::new("xingfuli")?, Name::new("cabin")?);
    let site = records.create_site(&home)?;
    let name = Name::new("home-1")?;
    let (id, token) = records.create_gateway(site, &name, Dialect::Vigil)?;
    let mut elders = Vec::new();
    for i in 0..args.elders {
        elders.push(seed::elder(records, args.seed * 1_000 + u64::from(i), Some(teams[i as usize % teams.len()]))?);
    }
    for (device, person) in sim_config(args, &name).devices() {
        let device = records.ensure_device(id, &device)?;
        records.bind(device, elders[person as usize - 1], seed::BOUND_SINCE, None)?;
    }
    let home = gateway_config(args, home, name, token);
    quicken(records, &elders)?;
    let site = records.create_site(&cabin)?;
    let name = Name::new("cabin-1")?;
    let (_, token) = records.create_gateway(site, &name, Dialect::Vigil)?;
    Ok(vec![home, gateway_config(args, cabin, name, token)])
}

/// Shorter hold times for two elders, saved as a doctor would save them: visible on their pages, with the reason.
fn quicken(records: &Records, elders: &[ElderId]) -> anyhow::Result<()> {
    let doctor = records.persons()?.into_iter().find(|person| person.role == Role::Doctor).map(|person| person.id);
    records.ensure_default_rules(&engine::default_rules())?;
    for person in QUICK {
        let elder = elders[person as usize - 1];
        let mut set: RuleSet = records.rules_for(elder)?.set;
        for rule in &mut set.rules {
            if let Test::Threshold(threshold) = &mut rule.test {
                for level in &mut threshold.levels {
                    level.hold_s = level.hold_s.min(QUICK_HOLD_S);
                }
            }
        }
        records.save_rules(Some(elder), set, doctor, "演示:确认时间缩短为 10 秒 (demo: confirmed within 10 s)")?;
    }
    Ok(())
}

fn gateway_config(args: &cli::Demo, site: Name, name: Name, token: String) -> gateway::Config {
    gateway::Config {
        data_dir: args.data_dir.join(name.as_str()),
        host: "127.0.0.1".into(),
        links: vec![gateway::Link::Sim(sim_config(args, &name))],
        site,
        name,
        token,
        ..gateway::Config::default()
    }
}

fn sim_config(args: &cli::Demo, gateway: &Name) -> sim::Config {
    let cabin = gateway.as_str().starts_with("cabin");
    sim::Config {
        elders: if cabin { CABIN_ELDERS } else { args.elders },
        seed: args.seed,
        interval_s: if cabin { 30 } else { 5 },
        cuff_interval_s: 1_800,
        backfill_h: if cabin { 0 } else { PAST_H },
        scenarios: if cabin { Vec::new() } else { scenarios() },
    }
}

/// What a visitor sees in the first minutes; most of it comes again.
fn scenarios() -> Vec<Planned> {
    let plan = |at_s, person, kind, every_s| Planned { at_s, person, kind, for_s: 0, every_s };
    vec![
        plan(2, 3, Scenario::Desaturation, 1_800),
        plan(3, 2, Scenario::HypertensiveCrisis, 3_600),
        plan(10, 1, Scenario::Fall, 1_200),
        plan(75, 4, Scenario::DeviceRemoved, 1_800),
        plan(90, 4, Scenario::Sos, 1_500),
        plan(240, 1, Scenario::UplinkLost, 900),
    ]
}

/// Made anew at every start; the rules for passwords are met: letters of both kinds and digits.
fn password() -> anyhow::Result<String> {
    const LETTERS: &[u8; 16] = b"abcdefghjkmnprst";
    let random: [u8; 10] = random()?;
    let word: String = random.iter().map(|byte| char::from(LETTERS[usize::from(byte & 15)])).collect();
    Ok(format!("Vigil-{word}-{}", 10 + random[0] % 90))
}

/// A key for a webhook, as both of its ends have it.
pub(crate) fn secret() -> anyhow::Result<String> {
    Ok(format!("whsec_{}", BASE64.encode(random::<32>()?)))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(bytes)
}

/// Filled up to `width` columns of a terminal, where a Chinese character takes two.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(2 * text.chars().count())))
}

fn welcome(server: &Server, password: &str) {
    let url = format!("http://{}", server.console_addr);
    say("");
    say(&format!("  Vigil 守望 演示已就绪 / demo is ready:  {url}"));
    say("");
    say("  登录 login    姓名 name  角色 role               页面 page");
    for (login, name, role, _) in PEOPLE {
        let page = if role.accepts_pages() && !role.watches_alarms() { "/phone" } else { "/" };
        let (name, role_zh) = (padded(name, 8), padded(role.zh(), 9));
        say(&format!("  {login:<12}  {name}  {role_zh}{:<14} {url}{page}", role.slug()));
    }
    say(&format!("  密码 password (全部 / all):  {password}"));
    say(&format!("  MQTT {}   Ctrl-C 结束 to stop", server.mqtt_addr));
    say("");
}
