//! An alarm that a gateway sounded at the elder's place while it could not reach the server, as the journal keeps it.

use serde::{Deserialize, Serialize};

use crate::alarm::Subject32;
use crate::{AlarmKind, DeviceId, GatewayId, Priority, Subject, Time};

/// What [`crate::Note::Sounded`] became at the server: attributed, with the server's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sounded {
    pub gateway: GatewayId,
    /// The device whose data raised it.
    pub device: DeviceId,
    #[serde(with = "subject")]
    pub subject: Subject,
    /// Slug of the rule.
    pub rule: String,
    pub priority: Priority,
    pub kind: AlarmKind,
    /// Event time at which the condition began, as the gateway saw it.
    pub started_at: Time,
    pub sounded_at: Time,
    /// Which hook: `command`, `gpio`, `http`.
    pub by: String,
    /// The hook said that it worked.
    pub ok: bool,
    /// When the server heard of it.
    pub at: Time,
}

mod subject {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Subject, Subject32};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(super) fn serialize<S: Serializer>(subject: &Subject, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u32(subject.to_u32())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Subject, D::Error> {
        Subject32::deserialize(d).map(Subject::from_u32)
    }
}
