//! Vigil's two databases on disk: `readings` (measurements, a log and compressed blocks) and `records` (people,
//! devices, rules, alarms, pages).

pub mod readings;
pub mod records;
