//! An alarm has three independent axes: condition (data), handling (people), page attempts (machines, `page.rs`).
//! One enum for all three is how peers lose alarms.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rule::ScoreName;
use crate::{ElderId, EventKind, Metric, Subject, Time};

macro_rules! words {
    ($($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $name:ident = $slug:literal, $zh:literal, $en:literal;)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $type { $($(#[$vdoc])* #[serde(rename = $slug)] $name,)* }
        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// Word in SQL, JSON and URLs.
            pub const fn slug(self) -> &'static str { match self { $(Self::$name => $slug,)* } }
            pub const fn zh(self) -> &'static str { match self { $(Self::$name => $zh,)* } }
            pub const fn en(self) -> &'static str { match self { $(Self::$name => $en,)* } }
            pub fn parse(slug: &str) -> Option<Self> { Self::ALL.iter().copied().find(|word| word.slug() == slug) }
        }
    )*};
}
pub(crate) use words;

words! {
    /// Urgency class, after IEC 60601-1-8 high/medium/low plus technical. Declared by urgency: `P1 < P2` sorts first.
    Priority {
        /// Page now.
        P1 = "P1", "紧急", "Urgent";
        /// Same shift.
        P2 = "P2", "高", "High";
        /// Worklist.
        P3 = "P3", "关注", "Attention";
        /// Technical: own queue.
        T = "T", "技术", "Technical";
    }
    /// What the data say. Manual handling never changes it.
    Condition {
        Present = "present", "持续", "Present";
        Cleared = "cleared", "已恢复", "Cleared";
        /// Data were lost while the condition was present.
        Unknown = "unknown", "数据中断", "Unknown";
    }
    /// What people did.
    Handling {
        Open = "open", "未接单", "Open";
        /// A dispatcher has it, under a lease.
        Claimed = "claimed", "已接单", "Claimed";
        /// A doctor accepted the page, or a responder is on the way.
        Engaged = "engaged", "已接手", "Engaged";
        /// Has an outcome; waits for the condition to clear.
        Resolved = "resolved", "已处置", "Resolved";
        /// Nothing left to do.
        Closed = "closed", "已关闭", "Closed";
        /// Put aside until a set time, with a reason. Never a P1.
        Parked = "parked", "已搁置", "Parked";
        /// Not an alarm (a test, the wrong person): kept, never deleted.
        Void = "void", "已作废", "Void";
    }
    /// How an alarm ended. Closing a P1 or P2 needs one.
    Outcome {
        TrueEmergency = "true_emergency", "真实紧急,已救助", "True emergency, helped";
        TrueHandled = "true_handled", "属实,已处理", "True, handled";
        Referred = "referred", "转诊/随访", "Referred";
        FalseAlarm = "false_alarm", "误报", "False alarm";
        Test = "test", "测试", "Test";
        NoAnswer = "no_answer", "无人应答,已转派", "No answer, passed on";
    }
    /// One line of an alarm's history.
    AlarmEventKind {
        Raised = "raised", "触发", "Raised";
        /// Same rule again, or the button again.
        Repeated = "repeated", "再次触发", "Repeated";
        /// Priority went up: pages again.
        Worsened = "worsened", "加重", "Worsened";
        Cleared = "cleared", "恢复", "Cleared";
        DataLost = "data_lost", "数据中断", "Data lost";
        Present = "present", "再次出现", "Present again";
        Claimed = "claimed", "接单", "Claimed";
        Returned = "returned", "退回队列", "Returned to the queue";
        Accepted = "accepted", "已接手", "Accepted";
        Declined = "declined", "无法接手", "Declined";
        PageSent = "page_sent", "寻呼已发出", "Page sent";
        PageFailed = "page_failed", "寻呼失败", "Page failed";
        Resolved = "resolved", "处置完成", "Resolved";
        Closed = "closed", "关闭", "Closed";
        Reopened = "reopened", "重新打开", "Reopened";
        Note = "note", "备注", "Note";
        /// The gateway sounded it at the elder's place while the server was out of reach.
        Sounded = "sounded", "网关本地已报警", "Sounded at the gateway";
        Cancelled = "cancelled", "现场取消", "Cancelled at the device";
        /// A second measurement was asked for.
        RemeasureAsked = "remeasure_asked", "请求复测", "Second measurement asked for";
        /// The claimant offers it to somebody else, who has to accept.
        Offered = "offered", "移交中", "Handed over, not yet accepted";
        /// The receiver has it.
        HandedOver = "handed_over", "移交完成", "Hand-over accepted";
        /// Declined, or not answered in time: the giver has it again.
        HandOverReturned = "hand_over_returned", "移交退回", "Hand-over returned";
        Parked = "parked", "搁置", "Parked";
        /// A parked alarm is in the queue again.
        Woken = "woken", "搁置到期", "Back from parking";
        Voided = "voided", "作废", "Voided";
        /// Somebody is on the way.
        Dispatched = "dispatched", "已派人上门", "Responder sent";
        Arrived = "arrived", "已到达", "Arrived";
        /// Nobody arrived in time.
        ArrivalOverdue = "arrival_overdue", "到达超时", "Arrival overdue";
        /// Somebody arrived, and nobody says how it ended.
        OutcomeOverdue = "outcome_overdue", "处置结果超时", "Outcome overdue";
        /// The next step of the escalation policy began.
        Escalated = "escalated", "升级", "Escalated";
        /// A step had nobody to page, or its condition did not hold.
        StepSkipped = "step_skipped", "跳过一级", "Step skipped";
        /// Belongs to an incident from here on.
        Grouped = "grouped", "归入事件", "Grouped into an incident";
    }
}

impl Outcome {
    /// The alarm was about something real. `None`: neither (a test, nobody answered).
    pub const fn was_true(self) -> Option<bool> {
        match self {
            Self::TrueEmergency | Self::TrueHandled | Self::Referred => Some(true),
            Self::FalseAlarm => Some(false),
            Self::Test | Self::NoAnswer => None,
        }
    }
}

/// What kind of condition raised the alarm, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AlarmKind {
    /// `value` went beyond `limit`.
    Threshold {
        metric: Metric,
        high: bool,
        value: f64,
        limit: f64,
    },
    Event {
        kind: EventKind,
    },
    /// Nothing was heard for `silent_s` seconds.
    Silence {
        silent_s: u32,
    },
    /// The day's mean `value` differs by `change` from what the rule compares with.
    Trend {
        metric: Metric,
        high: bool,
        value: f64,
        change: f64,
        /// The rule's.
        by: f64,
        days: u16,
    },
    /// A score reached `at_least`: certain is `min`, possible with what is missing `max`.
    Score {
        score: ScoreName,
        min: u8,
        max: u8,
        at_least: u8,
        /// One parameter alone scores 3.
        single_three: bool,
    },
    /// `count` values were beyond `limit` within `within_s`.
    Count {
        metric: Metric,
        high: bool,
        limit: f64,
        count: u16,
        within_s: u32,
    },
}

/// Identity of an alarm: a fixed function of (subject, rule, start of the episode), so that a replay of the same log
/// names the same alarm and can never raise it twice. Sixteen hex digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlarmId(pub u64);

impl AlarmId {
    /// `rule` is the rule's slug; `started_at` the event time at which the condition began to be true.
    pub fn of(subject: Subject, rule: &str, started_at: Time) -> Self {
        let mut hash = mix(u64::from(subject.to_u32()) ^ 0x5649_4749_4c00_0001);
        for byte in rule.bytes() {
            hash = mix(hash ^ u64::from(byte));
        }
        Self(mix(hash ^ started_at.0 as u64))
    }
}

/// The `SplitMix64` finaliser (Steele, Lea, Flood 2014): a bijection that spreads every input bit.
const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Display for AlarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for AlarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AlarmId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for AlarmId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for AlarmId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(d).map(Self)
        }
    }
}

/// What the engine says happened to a condition. Applied to the records store once, in one transaction with the cursor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    pub alarm: AlarmId,
    pub subject: Subject32,
    /// Slug of the rule.
    pub rule: String,
    /// Version of the rule set that judged.
    pub rules_version: u32,
    pub change: Change,
    /// Event time of the reading, event or log tick that caused the change.
    pub at: Time,
    /// When the log entry that caused it was received.
    pub received_at: Time,
}

/// [`Subject`] in its stored form, for serialised types.
pub type Subject32 = u32;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    Raised {
        priority: Priority,
        kind: AlarmKind,
        /// Event time at which the condition began to be true (before the hold time).
        started_at: Time,
        /// Found in data older than the late limit: a review item, never paged as live.
        late: bool,
    },
    Worsened {
        priority: Priority,
        kind: AlarmKind,
    },
    Repeated {
        kind: AlarmKind,
    },
    Cleared,
    /// The data stopped while the condition was present.
    DataLost,
    /// The data are back and the condition still holds.
    StillPresent,
    /// A gateway that could not reach the server raised it at the elder's place, at [`Transition::at`].
    Sounded {
        /// As the gateway judged.
        priority: Priority,
        /// What it sounded with: `command`, `gpio`, `http`.
        by: String,
        /// False: it tried and could not.
        ok: bool,
    },
    /// The person cancelled the call at the device. Nothing but a line of history: a person still has to look.
    Cancelled,
    /// A single bad measurement stands alone: the elder is to measure again before `due`.
    RemeasureAsked {
        kind: AlarmKind,
        due: Time,
    },
}

impl Transition {
    pub fn elder(&self) -> Option<ElderId> {
        Subject::from_u32(self.subject).elder()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_is_fixed_and_tells_episodes_apart() {
        let id = AlarmId::of(Subject::Elder(ElderId(7)), "systolic_high", Time(1_000));
        // Stored in databases: this number must never change.
        assert_eq!(id.to_string().parse::<AlarmId>().unwrap(), id);
        assert_eq!(id, AlarmId::of(Subject::Elder(ElderId(7)), "systolic_high", Time(1_000)));
        assert_ne!(id, AlarmId::of(Subject::Elder(ElderId(7)), "systolic_high", Time(1_001)));
        assert_ne!(id, AlarmId::of(Subject::Elder(ElderId(8)), "systolic_high", Time(1_000)));
        assert_ne!(id, AlarmId::of(Subject::Elder(ElderId(7)), "systolic_low", Time(1_000)));
    }

    #[test]
    fn urgent_sorts_first() {
        assert!(Priority::P1 < Priority::P2 && Priority::P2 < Priority::P3 && Priority::P3 < Priority::T);
    }
}
