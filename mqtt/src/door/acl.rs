//! What an identity may publish and subscribe. Derived from the identity alone, on resolved topics.

use super::identity::{Dialect, Identity};

/// Longest topic or filter, in bytes. Ours have 113 at most; others get some room.
pub(super) const TOPIC_BYTES_MAX: usize = 256;

/// What to do with a publish to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// To the intake; `state`: the client's own retained `st`.
    Store {
        state: bool,
    },
    /// Acknowledged and forgotten: what ThingsBoard devices say beside telemetry. It holds no reading.
    Ignore,
    Refused,
}

const THINGSBOARD_PREFIX: &str = "v1/devices/me/";
const THINGSBOARD_TELEMETRY: [&str; 2] = ["v1/devices/me/telemetry", "v2/t"];
/// Short attribute topics of ThingsBoard.
const THINGSBOARD_SHORT: [&str; 2] = ["v2/a", "v2/r/"];

/// A topic name a client may use at all: not empty, no wildcard, no NUL, not longer than [`TOPIC_BYTES_MAX`].
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= TOPIC_BYTES_MAX && !topic.bytes().any(|b| matches!(b, b'+' | b'#' | 0))
}

/// A filter as the standard wants it: `+` and `#` alone in their level, `#` last, no NUL.
pub(super) fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.len() > TOPIC_BYTES_MAX || filter.contains('\0') {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let fits = match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            other => !other.contains(['+', '#']),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// Whether a client may publish to a topic that passed [`is_topic`].
pub(super) fn publish(identity: &Identity, topic: &str) -> Right {
    if identity.open_acl {
        return if topic.starts_with('$') { Right::Refused } else { Right::Store { state: true } };
    }
    match identity.dialect {
        Dialect::Vigil => match own(identity, topic) {
            Some("st") => Right::Store { state: true },
            Some(rest) if rest.strip_prefix("u/").is_some_and(|lane| !lane.is_empty()) => Right::Store { state: false },
            _ => Right::Refused,
        },
        Dialect::ThingsBoard if THINGSBOARD_TELEMETRY.contains(&topic) => Right::Store { state: false },
        Dialect::ThingsBoard if thingsboard(topic) => Right::Ignore,
        Dialect::Senml if topic == "senml" || topic.starts_with("senml/") => Right::Store { state: false },
        Dialect::ThingsBoard | Dialect::Senml => Right::Refused,
    }
}

/// Whether a client may subscribe to a filter that passed [`is_filter`].
pub(super) fn subscribe(identity: &Identity, filter: &str) -> bool {
    if filter.starts_with('$') {
        return false; // neither $share nor $SYS
    }
    if identity.open_acl {
        return true;
    }
    match identity.dialect {
        Dialect::Vigil => own(identity, filter).is_some_and(|rest| rest.starts_with("d/")),
        Dialect::ThingsBoard => thingsboard(filter),
        Dialect::Senml => false,
    }
}

/// The part of a topic after `vigil/1/{site}/{gateway}/`.
fn own<'a>(identity: &Identity, topic: &'a str) -> Option<&'a str> {
    topic
        .strip_prefix("vigil/1/")?
        .strip_prefix(identity.site.as_str())?
        .strip_prefix('/')?
        .strip_prefix(identity.name.as_str())?
        .strip_prefix('/')
}

fn thingsboard(topic: &str) -> bool {
    topic.starts_with(THINGSBOARD_PREFIX) || THINGSBOARD_SHORT.iter().any(|short| topic.starts_with(short))
}

/// Whether a filter matches a topic. Both are well-formed.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use model::{GatewayId, Name};

    use super::*;

    fn identity(dialect: Dialect) -> Identity {
        let name = |text| Name::new(text).unwrap();
        Identity { gateway: GatewayId(1), site: name("s1"), name: name("gw1"), dialect, open_acl: false }
    }

    #[test]
    fn a_gateway_publishes_its_own_topics_only() {
        let gateway = identity(Dialect::Vigil);
        for (topic, right) in [
            ("vigil/1/s1/gw1/u/vit/band-1", Right::Store { state: false }),
            ("vigil/1/s1/gw1/u/sos/_", Right::Store { state: false }),
            ("vigil/1/s1/gw1/st", Right::Store { state: true }),
            ("vigil/1/s1/gw1/st/x", Right::Refused),
            ("vigil/1/s1/gw1/u", Right::Refused),
            ("vigil/1/s1/gw1/u/", Right::Refused),
            ("vigil/1/s1/gw1/d/cmd", Right::Refused),
            ("vigil/1/s1/gw10/u/vit/band-1", Right::Refused),
            ("vigil/1/s1/gw2/u/vit/band-1", Right::Refused),
            ("vigil/2/s1/gw1/st", Right::Refused),
            ("v1/devices/me/telemetry", Right::Refused),
            ("$SYS/x", Right::Refused),
        ] {
            assert_eq!(publish(&gateway, topic), right, "{topic}");
        }
    }

    #[test]
    fn a_gateway_hears_its_own_down_link_only() {
        let gateway = identity(Dialect::Vigil);
        for (filter, granted) in [
            ("vigil/1/s1/gw1/d/#", true),
            ("vigil/1/s1/gw1/d/+", true),
            ("vigil/1/s1/gw1/d/cmd", true),
            ("vigil/1/s1/gw1/d", false),
            ("vigil/1/s1/gw1/#", false),
            ("vigil/1/s1/+/d/#", false),
            ("vigil/1/s1/gw2/d/#", false),
            ("#", false),
            ("$share/g/vigil/1/s1/gw1/d/#", false),
            ("$SYS/#", false),
        ] {
            assert_eq!(subscribe(&gateway, filter), granted, "{filter}");
        }
    }

    #[test]
    fn thingsboard_devices_connect_unchanged() {
        let device = identity(Dialect::ThingsBoard);
        for (topic, right) in [
            ("v1/devices/me/telemetry", Right::Store { state: false }),
            ("v2/t", Right::Store { state: false }),
            ("v1/devices/me/attributes", Right::Ignore),
            ("v1/devices/me/attributes/request/1", Right::Ignore),
            ("v1/devices/me/rpc/response/7", Right::Ignore),
            ("v1/gateway/telemetry", Right::Refused),
            ("vigil/1/s1/gw1/u/vit/_", Right::Refused),
        ] {
            assert_eq!(publish(&device, topic), right, "{topic}");
        }
        assert!(subscribe(&device, "v1/devices/me/rpc/request/+"));
        assert!(subscribe(&device, "v1/devices/me/attributes"));
        assert!(!subscribe(&device, "#"));
    }

    #[test]
    fn sensors_publish_senml_and_hear_nothing() {
        let sensor = identity(Dialect::Senml);
        for topic in ["senml", "senml/room-1"] {
            assert_eq!(publish(&sensor, topic), Right::Store { state: false }, "{topic}");
        }
        for topic in ["senmlx", "vigil/1/s1/gw1/u/vit/_", "v1/devices/me/telemetry"] {
            assert_eq!(publish(&sensor, topic), Right::Refused, "{topic}");
        }
        assert!(!subscribe(&sensor, "senml/#"));
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/b/c", false),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("a/b", "a/b", true),
            ("a/b", "a/bc", false),
            ("/+", "/x", true),
            ("+", "/x", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
        for (filter, valid) in
            [("a/#/b", false), ("a#", false), ("a/+b", false), ("+/+/#", true), ("", false), ("a/\0", false)]
        {
            assert_eq!(is_filter(filter), valid, "{filter}");
        }
    }
}
