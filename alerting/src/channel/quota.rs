//! Our limiter: counts before the provider does, per person or per channel, in the records, so that a restart does not forget.
//! It never throws an urgent page away: a page it holds back goes on by the next channel.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Time;
use serde::{Deserialize, Serialize};
use store::records::SendLimit;

use super::table::{per_day, per_s};
use super::{Channel, Limit, Window};
use crate::Error;

const MINUTE: u32 = 60;
const HOUR: u32 = 3_600;
const DAY_US: i64 = 86_400_000_000;
/// Asia/Shanghai, no daylight saving.
const ZONE_US: i64 = 8 * 3_600_000_000;

/// `[alerting.quota.NAME]`: the site's limits in place of the table's, for each person (for a robot: in all). A key that is
/// absent limits nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// In any 60 seconds. At least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// In any 3600 seconds. At least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<u32>,
    /// In a calendar day. At least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u32>,
}

impl Quota {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if [self.per_minute, self.per_hour, self.per_day].contains(&Some(0)) {
            return Err(Error::Config { key: "quota", reason: "a limit of 0 would silence the channel".into() });
        }
        Ok(())
    }

    fn limits(&self) -> Vec<Limit> {
        let sliding = |count: Option<u32>, seconds| count.map(|count| per_s(count, seconds));
        let all = [sliding(self.per_minute, MINUTE), sliding(self.per_hour, HOUR), self.per_day.map(per_day)];
        all.into_iter().flatten().collect()
    }
}

/// The limits of each channel: the site's, else the table's.
pub(crate) fn limits(channel: Channel, quotas: &BTreeMap<Channel, Quota>) -> Vec<Limit> {
    quotas.get(&channel).map_or_else(|| channel.limits().to_vec(), Quota::limits)
}

/// Midnight before `now` in Asia/Shanghai.
pub(crate) fn midnight(now: Time) -> Time {
    Time((now.0 + ZONE_US).div_euclid(DAY_US) * DAY_US - ZONE_US)
}

/// A limit as the records count it at this moment.
pub(crate) fn at(limit: Limit, now: Time) -> SendLimit {
    match limit.window {
        Window::Seconds(seconds) => {
            SendLimit { count: limit.count, since: now.plus_us(-i64::from(seconds) * 1_000_000), until: None }
        }
        Window::Day => {
            let start = midnight(now);
            // A message at midnight itself is of the new day.
            SendLimit { count: limit.count, since: start.plus_us(-1), until: Some(start.plus_us(DAY_US)) }
        }
    }
}

/// From now until then, as a channel says it.
pub(crate) fn wait(until: Time, now: Time) -> Duration {
    Duration::from_micros(u64::try_from(until.since_us(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_quota_takes_the_place_of_the_table() {
        let quotas = BTreeMap::from([(Channel::TencentSms, Quota { per_day: Some(20), ..Quota::default() })]);
        assert_eq!(limits(Channel::TencentSms, &quotas), [per_day(20)]);
        assert_eq!(limits(Channel::AliyunVoice, &quotas).len(), 3);
        assert!(Quota { per_hour: Some(0), ..Quota::default() }.validate().is_err());
    }

    #[test]
    fn a_day_begins_at_midnight_in_shanghai() {
        let time = |text| Time::parse(text).unwrap();
        for (now, start) in [
            ("2026-11-22T15:59:59Z", "2026-11-21T16:00:00Z"),
            ("2026-11-22T16:00:00Z", "2026-11-22T16:00:00Z"),
            ("2026-12-31T20:00:00Z", "2026-12-31T16:00:00Z"),
        ] {
            assert_eq!(midnight(time(now)), time(start), "{now}");
            let limit = at(per_day(2), time(now));
            assert_eq!(limit.until, Some(time(start).plus_us(DAY_US)));
        }
    }
}
