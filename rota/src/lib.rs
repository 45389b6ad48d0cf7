//! Who is on call: rotas of teams, the calendar of holidays, and the arithmetic between the two. Pure: no I/O and no clock;
//! every instant is an argument, and the same arguments give the same answer for ever.
//!
//! A team's [`Rota`] has posts (岗位) that are filled at the same time, and each post has layers that follow one another in rank:
//! override > temporary fixed shift > holiday layer > rotation. Leave takes people away. A post that must be filled and has
//! nobody left is a [`Hole`]; whoever pages goes on to the next unit then.
//!
//! - [`Rota`], [`Layer`], [`Override`], [`Leave`]: what people write down ([`plan`]).
//! - [`Plan`]: all of it for one team, every version with the time from which it is in force.
//! - [`Calendar`]: which days are off in China, and for which years that is known.
//! - [`Plan::shifts`], [`Plan::holes`], [`Plan::on_call`], [`Plan::stand_ins`], [`Plan::quality`], [`Rota::check`].
//!
//! Days and hand-overs are by the wall clock of the rota's zone; instants are UTC. A day of duty belongs to the date on which it
//! begins, also when it ends the next morning.

mod calendar;
mod check;
mod layer;
mod plan;
mod quality;
mod shifts;
mod wall;

pub use calendar::{BadYear, Calendar, Day, Year};
pub use check::{Place, Problem, Weight};
pub use plan::{Kind, Layer, Leave, MAIN_POST, Member, Only, Override, Plan, Rota, Version, Weekday};
pub use quality::{Load, Quality};
pub use shifts::{Cause, Hole, OnCall, Shift, Shifts, Skipped, StandIn, Why};
pub use wall::{Wall, ZONE, local, zone};

/// How far ahead holes are looked for, and the calendar has to be known when a rota is saved.
pub const WEEKS_AHEAD: i64 = 8;
/// One week in µs.
pub const WEEK_US: i64 = 7 * DAY_US;
/// One day of 24 hours in µs.
pub const DAY_US: i64 = 86_400_000_000;
