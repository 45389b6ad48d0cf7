//! Vigil's domain words: what a reading, a device, an elder, a rule, an alarm and a page *are*.
//!
//! Nothing here waits, reads a clock, opens a file or fails for an outside reason. Every other crate speaks in these
//! types, so one noun means the same in code, SQL, JSON, topics and screens (`docs/glossary.md`).
//!
//! What is deliberately absent: tokio, SQL, MQTT, logging, and any clock. Time is always an argument.

pub mod alarm;
pub mod entry;
pub mod event;
pub mod extra;
pub mod id;
pub mod identity;
pub mod layer;
pub mod lead;
pub mod mask;
pub mod metric;
pub mod note;
pub mod page;
pub mod people;
pub mod policy;
pub mod push;
pub mod quality;
pub mod quiet;
pub mod reading;
pub mod rule;
pub mod runs;
pub mod sounded;
pub mod time;

pub use alarm::{AlarmId, AlarmKind, Condition, Handling, Outcome, Priority};
pub use event::{Event, EventKind};
pub use extra::{ClockPair, Extras, Origin, Rate, Waveform};
pub use id::{DeviceId, ElderId, GatewayId, Lane, Name, PageId, PersonId, Seq, SiteId, Subject, TeamId};
pub use identity::PersonKey;
pub use layer::Layer;
pub use metric::Metric;
pub use note::Note;
pub use quality::Quality;
pub use quiet::{Quiet, QuietKind, Whose};
pub use reading::{Reading, Sample};
pub use sounded::Sounded;
pub use time::Time;
