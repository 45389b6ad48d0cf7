//! What a gateway says about itself that must not be lost: losses it declares, alarms it sounded, orders it carried out.
//! Notes travel in lane `evt` of the gateway's own device `_`, each one a JSON object in a text.

use serde::{Deserialize, Serialize};

use crate::alarm::words;
use crate::{AlarmKind, ElderId, Lane, Name, Priority, Time};

/// Notes one frame may hold.
pub const NOTES_MAX: usize = 64;
/// Longest text of one note, bytes.
pub const NOTE_MAX: usize = 1_024;

words! {
    /// Why readings are lost for good.
    LossCause {
        DiskBudget = "disk_budget", "网关存储已满", "Gateway storage full";
        Corrupt = "corrupt", "存储损坏", "Storage damaged";
        /// The outbox was created anew: what it held is gone.
        OutboxLost = "outbox_lost", "网关缓存丢失", "Outbox lost";
        /// The server took them into custody once, and the gateway let them go: what is missing now went missing there.
        Acknowledged = "acknowledged", "已送达,服务器侧缺失", "Delivered, then missing at the server";
        Flooding = "flooding", "设备发送过快", "Device floods";
        Overflow = "overflow", "缓冲溢出", "Buffer overflow";
    }
    /// What the server pushes to a gateway.
    Push {
        Config = "config", "配置", "Configuration";
        Rules = "rules", "规则", "Rules";
        Devices = "devices", "设备名单", "Device list";
    }
}

/// One note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub enum Note {
    /// Frames that the gateway does not have any more.
    Gone { epoch: u32, lane: Lane, from: u64, to: u64, cause: LossCause },
    /// Readings taken out of frames `from..=to` (which may be gone altogether): `kept` of `readings` remain.
    Thinned { epoch: u32, lane: Lane, from: u64, to: u64, readings: u64, kept: u64, cause: LossCause },
    /// The gateway sounded an alarm at the place, while it could not reach the server.
    Sounded {
        /// Whom a session at a shared device named. Of other devices the server knows best whose they were then.
        elder: Option<ElderId>,
        device: Name,
        /// Slug of the rule.
        rule: String,
        priority: Priority,
        /// What raised it, with its numbers.
        kind: AlarmKind,
        started_at: Time,
        sounded_at: Time,
        /// Which hook: `command`, `gpio`, `http`.
        by: String,
        /// The hook said that it worked.
        ok: bool,
    },
    /// A pushed version is in force.
    Applied { what: Push, version: u64 },
    /// A pushed version cannot be used; the one before stays in force.
    Refused { what: Push, version: u64, reason: String },
}

impl Note {
    pub fn to_text(&self) -> String {
        // Plain data with text keys: writing it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// `None` for a note that this version does not know.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back() {
        let device = Name::new("watch-1").unwrap();
        for note in [
            Note::Gone { epoch: 2, lane: Lane::Wav, from: 3, to: 9, cause: LossCause::DiskBudget },
            Note::Thinned {
                epoch: 2,
                lane: Lane::Vit,
                from: 3,
                to: 9,
                readings: 70,
                kept: 7,
                cause: LossCause::DiskBudget,
            },
            Note::Sounded {
                elder: Some(ElderId(4)),
                device,
                rule: "sos".into(),
                priority: Priority::P1,
                kind: AlarmKind::Event { kind: crate::EventKind::Sos },
                started_at: Time(5),
                sounded_at: Time(6),
                by: "command".into(),
                ok: true,
            },
            Note::Applied { what: Push::Rules, version: 3 },
            Note::Refused { what: Push::Config, version: 4, reason: "x".into() },
        ] {
            let text = note.to_text();
            assert!(text.len() <= NOTE_MAX);
            assert_eq!(Note::parse(&text), Some(note), "{text}");
        }
        assert_eq!(Note::parse(r#"{"k":"dance"}"#), None);
    }
}
