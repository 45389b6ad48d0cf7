//! A simulated county: its elders, what their devices say, what truly happens to them, and how the alarm engine and the seats of the
//! call centre take it. Virtual time, no sockets, no database; the same seed gives the same report.
//!
//! What is deliberately absent: the front door, the journal and the records (each has tests of its own), and people who learn.

mod band;
mod crisis;
mod dice;
mod figures;
mod levers;
mod line;
mod people;
mod report;
mod scenario;
mod seats;
mod spot;
mod text;
mod watch;
mod world;

pub use crisis::{Crisis, CrisisKind};
pub use report::{CrisisRow, Missed, Report, RuleRow, SetReport};
pub use world::run;

use model::rule::RuleSet;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Plan {
    pub elders: u32,
    pub days: u32,
    pub seed: u64,
    pub seats: u32,
    /// Of 100 elders, so many wear a band.
    pub wearers_percent: f64,
    pub rules: RuleSet,
    /// Judges the same readings by changed rules beside, to see what a change would bring.
    pub levers: bool,
}
