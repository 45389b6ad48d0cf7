//! What the journal has yet to be told about rules, ages and quiet periods, and what it was told.
//!
//! Only one part publishes (`alerting`, task `alerting.rules`). It appends to the journal first and says so here afterwards: what
//! stands here is in the journal. After a crash between the two the journal is told once more, which changes nothing.

use std::collections::{BTreeMap, HashMap};

use model::layer::{Refused, effective};
use model::rule::RuleSet;
use model::{ElderId, Quiet};
use rusqlite::{Connection, params};

use super::error::Result;
use super::view::json;
use super::world::{Key, World, is_aged, key, people};
use super::{Records, Tx, quiet, rows, rules};

/// Elders written in one transaction: alarms do not wait for longer than that takes.
const TOGETHER_MAX: usize = 2_000;
/// The row of the default set.
const DEFAULT: u32 = 0;

/// A set, and the elders it judges from now on.
pub type ForElders = (RuleSet, Vec<ElderId>);

/// Everything in which the journal differs from the records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesDue {
    pub default: Option<RuleSet>,
    /// Who has reached the age of the wider default, and (corrected birth dates) who has not.
    pub aged: Vec<ElderId>,
    pub not_aged: Vec<ElderId>,
    /// Each set once.
    pub sets: Vec<ForElders>,
    pub quiet: Vec<Quiet>,
    /// Layers that do not fit together with others of somebody, and are not in force there.
    pub left_out: Vec<Refused>,
}

impl RulesDue {
    pub fn is_empty(&self) -> bool {
        self.default.is_none()
            && self.aged.is_empty()
            && self.not_aged.is_empty()
            && self.sets.is_empty()
            && self.quiet.is_empty()
    }
}

/// A part of [`RulesDue`] that is in the journal now.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    Default { version: u32 },
    Aged { aged: bool, elders: &'a [ElderId] },
    Set { version: u32, elders: &'a [ElderId] },
    Quiet(&'a Quiet),
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Row {
    version: Option<u32>,
    aged: bool,
}

impl Records {
    /// Works out who is to be judged by what now. Sets that are new get their numbers.
    pub fn rules_due(&self) -> Result<RulesDue> {
        let now = self.now();
        let (mut due, unnumbered) = self.read(|conn| {
            let world = World::load(conn, rules::default_set(conn)?, now, None)?;
            due(conn, &world, now)
        })?;
        if !unnumbered.is_empty() {
            let numbered = self.write(|tx| {
                let number = |(set, elders): ForElders| {
                    let version = rules::version_of(tx, &set)?;
                    Ok((RuleSet { version, ..set }, elders))
                };
                unnumbered.into_iter().map(number).collect::<Result<Vec<_>>>()
            })?;
            due.sets.extend(numbered);
        }
        Ok(due)
    }

    /// What the part is about is in the journal.
    pub fn rules_told(&self, told: Told<'_>) -> Result<()> {
        match told {
            Told::Default { version } => self.write(|tx| {
                let row = Row { version: Some(version), aged: false };
                tell(tx, &[ElderId(DEFAULT)], |_| row)
            }),
            Told::Aged { aged, elders } => self.tell_all(elders, |row| Row { aged, ..row }),
            Told::Set { version, elders } => self.tell_all(elders, |row| Row { version: Some(version), ..row }),
            Told::Quiet(told) => self.write(|tx| quiet::told(tx, told)),
        }
    }

    fn tell_all(&self, elders: &[ElderId], change: impl Fn(Row) -> Row + Copy) -> Result<()> {
        elders.chunks(TOGETHER_MAX).try_for_each(|some| self.write(|tx| tell(tx, some, change)))
    }

    /// A new journal knows nothing: everything is due again.
    pub fn rules_untold(&self) -> Result<()> {
        let now = self.now();
        self.write(|tx| {
            tx.execute("DELETE FROM rules_told", [])?;
            tx.execute("UPDATE quiet SET told = FALSE WHERE until_at > ?1 AND ended_at IS NULL", [now.0])?;
            Ok(())
        })
    }

    /// The sets of all elders with layers, as the journal was told: for a log whose beginning is gone.
    pub fn own_rules(&self) -> Result<Vec<(ElderId, RuleSet)>> {
        self.read(|conn| {
            let mut sets = Sets::default();
            let mut query = conn.prepare_cached(
                "SELECT elder, version FROM rules_told WHERE elder > 0 AND version IS NOT NULL ORDER BY elder",
            )?;
            rows(query.query([])?, |row| Ok((ElderId(row.get(0)?), sets.read(conn, row.get(1)?)?)))
        })
    }
}

/// Rule sets by version, each read once.
#[derive(Default)]
pub(super) struct Sets(HashMap<u32, RuleSet>);

impl Sets {
    pub(super) fn read(&mut self, conn: &Connection, version: u32) -> Result<RuleSet> {
        if let Some(set) = self.0.get(&version) {
            return Ok(set.clone());
        }
        let body = conn
            .prepare_cached("SELECT body FROM rule_set WHERE version = ?1")?
            .query_row([version], |row| row.get::<_, String>(0))?;
        let set: RuleSet = json("rule set", body)?;
        self.0.insert(version, set.clone());
        Ok(set)
    }
}

/// By which version an elder with layers is judged, as the journal was told.
pub(super) fn told_version(conn: &Connection, elder: ElderId) -> Result<Option<u32>> {
    use rusqlite::OptionalExtension;
    let mut query = conn.prepare_cached("SELECT version FROM rules_told WHERE elder = ?1")?;
    Ok(query.query_row([elder.0], |row| row.get::<_, Option<u32>>(0)).optional()?.flatten())
}

fn told(conn: &Connection) -> Result<HashMap<u32, Row>> {
    let mut query = conn.prepare_cached("SELECT elder, version, aged FROM rules_told")?;
    let found = rows(query.query([])?, |row| Ok((row.get(0)?, Row { version: row.get(1)?, aged: row.get(2)? })))?;
    Ok(found.into_iter().collect())
}

/// What is due, and apart from it sets that have no number yet.
fn due(conn: &Connection, world: &World, now: model::Time) -> Result<(RulesDue, Vec<ForElders>)> {
    let told = told(conn)?;
    let mut due = RulesDue { quiet: quiet::untold(conn)?, ..RulesDue::default() };
    if told.get(&DEFAULT).and_then(|row| row.version) != Some(world.default.version) {
        due.default = Some(world.default.clone());
    }
    let mut known: HashMap<Key, (RuleSet, bool)> = HashMap::new();
    let mut sets: BTreeMap<u32, ForElders> = BTreeMap::new();
    let mut unnumbered: BTreeMap<String, ForElders> = BTreeMap::new();
    for one in people(conn, None, now)? {
        let row = told.get(&one.id.0).copied().unwrap_or_default();
        if is_aged(one.age) != row.aged {
            if row.aged { &mut due.not_aged } else { &mut due.aged }.push(one.id);
        }
        // Without layers the default judges, and the journal never heard of this elder. Whoever had layers keeps a set by name.
        if row.version.is_none() && world.is_empty_for(&one) {
            continue;
        }
        let assigned = world.assigned(&one, one.age);
        let key = key(&one, one.age, &assigned, now);
        if key.1.is_empty() && row.version.is_none() {
            continue;
        }
        if !known.contains_key(&key) {
            let mut found = effective(&world.default, is_aged(one.age), &assigned, now);
            due.left_out.append(&mut found.left_out);
            let version = rules::known_version(conn, &found.set)?;
            found.set.version = version.unwrap_or(0);
            known.insert(key.clone(), (found.set, version.is_some()));
        }
        let Some((set, numbered)) = known.get(&key) else { continue };
        if !numbered {
            unnumbered.entry(format!("{key:?}")).or_insert_with(|| (set.clone(), Vec::new())).1.push(one.id);
        } else if row.version != Some(set.version) {
            sets.entry(set.version).or_insert_with(|| (set.clone(), Vec::new())).1.push(one.id);
        }
    }
    due.sets = sets.into_values().collect();
    Ok((due, unnumbered.into_values().collect()))
}

fn tell(tx: &mut Tx<'_>, elders: &[ElderId], change: impl Fn(Row) -> Row) -> Result<()> {
    let mut read = tx.prepare_cached("SELECT version, aged FROM rules_told WHERE elder = ?1")?;
    let mut write =
        tx.prepare_cached("INSERT OR REPLACE INTO rules_told (elder, version, aged) VALUES (?1, ?2, ?3)")?;
    for elder in elders {
        let before = rows(read.query([elder.0])?, |row| Ok(Row { version: row.get(0)?, aged: row.get(1)? }))?;
        let Row { version, aged } = change(before.first().copied().unwrap_or_default());
        write.execute(params![elder.0, version, aged])?;
    }
    drop((read, write));
    // Gateways look at this number to learn that something has changed (`care_mark`).
    tx.next_id("rules_told")?;
    Ok(())
}
