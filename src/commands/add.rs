//! `vigil add`: people, teams, elders, gateways and bindings. Works beside a running server, which sees the change within
//! ten seconds.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use model::identity::KeyKind;
use model::people::{Role, Sex};
use model::{ElderId, Name, TeamId};
use runtime::Clock;
use store::records::{Dialect, NewElder, NewPerson, Records};

use crate::cli::Add;
use crate::data_dir;
use crate::server::say;

/// Longest line read from standard input, bytes.
const LINE_BYTES_MAX: u64 = 4_096;

/// Carries out one `vigil add ..`.
pub fn add(what: &Add) -> anyhow::Result<()> {
    match what {
        Add::User { at, login, name, role, team, phone } => {
            let records = open(&at.config)?;
            let role = Role::parse(role)
                .context("--role is dispatcher, supervisor, doctor, nurse, responder or administrator")?;
            let password = password()?;
            let on_call_order = role.accepts_pages().then_some(records.persons()?.len() as u32);
            let id = records.create_person(&NewPerson {
                name: name.clone(),
                phone: phone.clone().unwrap_or_default(),
                role,
                login: login.clone(),
                password,
                team: team_id(&records, team.as_deref())?,
                language: "zh".into(),
                on_call_order,
            })?;
            say(&format!("user {id} can sign in as {login}"));
        }
        Add::Team { at, name } => say(&format!("team {}", open(&at.config)?.create_team(name)?)),
        Add::Elder { at, name, sex, born, team, phone, address } => {
            let records = open(&at.config)?;
            let id = records.create_elder(&NewElder {
                name: name.clone(),
                sex: Sex::parse(sex).context("--sex is male, female or unknown")?,
                birth_date: born.clone(),
                phone: phone.clone(),
                address: address.clone(),
                notes: String::new(),
                team: team_id(&records, team.as_deref())?,
            })?;
            say(&format!("elder {id}"));
        }
        Add::Gateway { at, site, name, dialect } => {
            let records = open(&at.config)?;
            let site = records.create_site(&Name::new(site).context("--site")?)?;
            let dialect = Dialect::parse(dialect).context("--dialect is vigil or thingsboard")?;
            let (id, token) = records.create_gateway(site, &Name::new(name).context("--name")?, dialect)?;
            say(&format!("gateway {id}, token {token} (shown once; only a hash of it is kept)"));
        }
        Add::Key { at, elder, card, qr: _ } => {
            let config = config::server(&at.config)?;
            data_dir::must_be_used(&config.data_dir)?;
            let site = config.identity_key()?.context("identity_key_file is missing in the configuration")?;
            let kind = if *card { KeyKind::Card } else { KeyKind::Qr };
            let text = line("the card's number or the code's text")?;
            let clock = Clock::system();
            let key = site.person(kind, &text, clock.now())?;
            Records::open(&config.data_dir, clock)?.add_key(ElderId(*elder), &key, None)?;
            say(&format!("this {} means elder {elder} from now on", kind.slug()));
        }
        Add::Binding { at, gateway, device, elder } => {
            let records = open(&at.config)?;
            let Some(gateway) = records.gateway_by_name(&Name::new(gateway).context("--gateway")?)? else {
                bail!("there is no gateway {gateway}: add it with `vigil add gateway`");
            };
            let device = records.ensure_device(gateway.id, &Name::new(device).context("--device")?)?;
            records.bind(device, ElderId(*elder), Clock::system().now(), None)?;
            say(&format!("device {device} belongs to elder {elder} from now on"));
        }
    }
    Ok(())
}

/// Opens the registry that a configuration file points to.
pub(super) fn open(config: &Path) -> anyhow::Result<Records> {
    let config = config::server(config)?;
    data_dir::must_be_used(&config.data_dir)?;
    Ok(Records::open(&config.data_dir, Clock::system())?)
}

pub(super) fn team_id(records: &Records, name: Option<&str>) -> anyhow::Result<Option<TeamId>> {
    let Some(name) = name else { return Ok(None) };
    let found = records.teams()?.into_iter().find(|team| team.name == name);
    Ok(Some(found.with_context(|| format!("there is no team {name}: add it with `vigil add team`"))?.id))
}

/// One line of standard input, of a bounded length.
fn line(what: &str) -> anyhow::Result<String> {
    let mut line = String::new();
    let stdin = std::io::stdin().lock().take(LINE_BYTES_MAX);
    BufReader::new(stdin).read_line(&mut line).with_context(|| format!("{what} is read from standard input"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn password() -> anyhow::Result<String> {
    let password = line("the password")?;
    if password.is_empty() {
        bail!("the password is read from standard input, one line: printf '%s\\n' 'PASSWORD' | vigil add user ..");
    }
    Ok(password)
}
