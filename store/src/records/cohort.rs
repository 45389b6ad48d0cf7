//! All elders as figures see them: no name, no address; what groups are made of and nothing else.

use model::people::Sex;
use model::{ElderId, TeamId};

use super::error::Result;
use super::view::{age, word};
use super::{Records, rows};

/// One elder without anything that says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: ElderId,
    pub sex: Sex,
    /// Whole years, today in Asia/Shanghai.
    pub age: Option<u32>,
    pub team: Option<TeamId>,
}

/// A team and the unit above it (a township hospital above its family-doctor teams).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub id: TeamId,
    pub name: String,
    pub parent: Option<TeamId>,
}

/// Everybody, at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    pub members: Vec<Member>,
    pub units: Vec<Unit>,
}

impl Records {
    /// All elders and all units, by number. Not limited: this is no list for a screen, and some tens of bytes an elder.
    pub fn cohort(&self) -> Result<Cohort> {
        let now = self.now();
        self.read(|conn| {
            let snapshot = conn.unchecked_transaction()?;
            let mut query = snapshot.prepare_cached("SELECT id, sex, birth_date, team FROM elder ORDER BY id")?;
            let members = rows(query.query([])?, |row| {
                Ok(Member {
                    id: ElderId(row.get(0)?),
                    sex: word("sex", Sex::parse, row.get(1)?)?,
                    age: row.get::<_, Option<String>>(2)?.and_then(|born| age(&born, now)),
                    team: row.get::<_, Option<u32>>(3)?.map(TeamId),
                })
            })?;
            let mut query = snapshot.prepare_cached("SELECT id, name, parent FROM team ORDER BY id")?;
            let units = rows(query.query([])?, |row| {
                let parent = row.get::<_, Option<u32>>(2)?.map(TeamId);
                Ok(Unit { id: TeamId(row.get(0)?), name: row.get(1)?, parent })
            })?;
            Ok(Cohort { members, units })
        })
    }
}
