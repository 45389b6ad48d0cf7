//! Topics: `vigil/1/{site}/{gateway}/u/{lane}/{device}` up, `.../st` state, `.../d/{kind}` down, and ThingsBoard's.
//!
//! Names are `[a-z0-9_-]{1,32}`, so a topic maps one to one to any broker and carries no personal data.

use std::fmt;

use model::{Lane, Name};

/// The first two levels. `1` is the version of topics and frames together.
pub const PREFIX: &str = "vigil/1";
/// Longest topic, bytes.
pub const LEN_MAX: usize = 128;
/// The device name that means "the gateway itself".
pub const SELF: &str = "_";

/// A topic of ours, borrowed from its text. Every name in it is a valid [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'a> {
    /// A frame of one device.
    Up { site: &'a str, gateway: &'a str, lane: Lane, device: &'a str },
    /// Birth and will of a gateway, retained.
    State { site: &'a str, gateway: &'a str },
    /// To the gateway.
    Down { site: &'a str, gateway: &'a str, kind: Down },
    /// ThingsBoard's telemetry of the device that is logged in.
    Telemetry,
}

/// What we tell a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// Custody: up to where frames are stored, holes, refused.
    Ack,
    Config,
    Command,
    /// Ask for frames again.
    Resend,
    /// Server time.
    Time,
}

impl Down {
    pub const ALL: [Self; 5] = [Self::Ack, Self::Config, Self::Command, Self::Resend, Self::Time];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Config => "cfg",
            Self::Command => "cmd",
            Self::Resend => "resend",
            Self::Time => "time",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Why a text is none of our topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTopic {
    #[error("the topic has {0} bytes, more than {LEN_MAX}")]
    TooLong(usize),
    #[error("the topic is none of vigil/1/.., v1/devices/me/telemetry, v2/t")]
    Unknown,
    #[error("a level of the topic is not a name of 1 to 32 of a-z 0-9 _ -")]
    Name,
}

impl<'a> Topic<'a> {
    pub fn parse(text: &'a str) -> Result<Self, BadTopic> {
        if text.len() > LEN_MAX {
            return Err(BadTopic::TooLong(text.len()));
        }
        if matches!(text, "v1/devices/me/telemetry" | "v2/t") {
            return Ok(Self::Telemetry);
        }
        let rest = text.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('/')).ok_or(BadTopic::Unknown)?;
        let mut levels = rest.split('/');
        let mut next = || levels.next().ok_or(BadTopic::Unknown);
        let (site, gateway, kind) = (name(next()?)?, name(next()?)?, next()?);
        let topic = match kind {
            "st" => Self::State { site, gateway },
            "u" => {
                let lane = Lane::parse(next()?).ok_or(BadTopic::Unknown)?;
                Self::Up { site, gateway, lane, device: name(next()?)? }
            }
            "d" => Self::Down { site, gateway, kind: Down::parse(next()?).ok_or(BadTopic::Unknown)? },
            _ => return Err(BadTopic::Unknown),
        };
        if levels.next().is_some() { Err(BadTopic::Unknown) } else { Ok(topic) }
    }
}

fn name(level: &str) -> Result<&str, BadTopic> {
    let fits = !level.is_empty()
        && level.len() <= Name::LEN_MAX
        && level.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    if fits { Ok(level) } else { Err(BadTopic::Name) }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up { site, gateway, lane, device } => {
                write!(f, "{PREFIX}/{site}/{gateway}/u/{}/{device}", lane.as_str())
            }
            Self::State { site, gateway } => write!(f, "{PREFIX}/{site}/{gateway}/st"),
            Self::Down { site, gateway, kind } => write!(f, "{PREFIX}/{site}/{gateway}/d/{}", kind.as_str()),
            Self::Telemetry => f.write_str("v1/devices/me/telemetry"),
        }
    }
}

/// Topic of a frame.
pub fn up(site: &Name, gateway: &Name, lane: Lane, device: &Name) -> String {
    Topic::Up { site: site.as_str(), gateway: gateway.as_str(), lane, device: device.as_str() }.to_string()
}

/// Topic of a gateway's birth and will.
pub fn state(site: &Name, gateway: &Name) -> String {
    Topic::State { site: site.as_str(), gateway: gateway.as_str() }.to_string()
}

/// Topic of a message to a gateway.
pub fn down(site: &Name, gateway: &Name, kind: Down) -> String {
    Topic::Down { site: site.as_str(), gateway: gateway.as_str(), kind }.to_string()
}

/// The one filter a gateway subscribes to.
pub fn down_filter(site: &Name, gateway: &Name) -> String {
    format!("{PREFIX}/{site}/{gateway}/d/#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_come_back_as_they_were() {
        let (site, gateway) = ("home-7", "gw_1");
        let mut topics = vec![Topic::State { site, gateway }, Topic::Telemetry];
        topics.extend(Lane::ALL.map(|lane| Topic::Up { site, gateway, lane, device: SELF }));
        topics.extend(Down::ALL.map(|kind| Topic::Down { site, gateway, kind }));
        for topic in topics {
            let text = topic.to_string();
            assert_eq!(Topic::parse(&text), Ok(topic), "{text}");
        }
        assert_eq!(Topic::parse("v2/t"), Ok(Topic::Telemetry));
    }

    #[test]
    fn the_longest_topic_fits() {
        let long = Name::new(&"x".repeat(32)).unwrap();
        let text = up(&long, &long, Lane::Hist, &long);
        assert!(text.len() <= LEN_MAX && Topic::parse(&text).is_ok(), "{} bytes", text.len());
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "vigil",
            "vigil/1",
            "vigil/1/s",
            "vigil/1/s/g",
            "vigil/1/s/g/u",
            "vigil/1/s/g/u/vit",
            "vigil/2/s/g/st",
            "vigil/1/s/g/u/vit/",
            "vigil/1/s/g/u/vit/d/x",
            "vigil/1/s/g/u/xyz/d",
            "vigil/1/s/+/u/vit/d",
            "vigil/1/s/g/st/",
            "vigil/1/S/g/st",
            "vigil/1//g/st",
            "vigil/1/s/g/d/#",
            "/vigil/1/s/g/st",
            "vigil/10/s/g/st",
            "v1/devices/me/rpc",
        ] {
            assert!(Topic::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Topic::parse(&"a".repeat(129)), Err(BadTopic::TooLong(129)));
    }
}
