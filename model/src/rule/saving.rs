//! What is asked of a set that a person saves, beyond [`RuleSet::check`]: rules that pass it but could not do what they say.
//! Journals may hold older sets, so the engine does not ask this.

use super::{BadRule, Rule, RuleSet, Test, Threshold, bad_level, bad_of};
use crate::Metric;
use crate::metric::Shape;

impl Metric {
    /// Longest hold time that makes sense, in seconds.
    ///
    /// A stream that is silent for ten minutes (or three times the hold time of the level) counts as lost, and bands come off for
    /// charging and washing: a stretch of more than an hour without any of that is luck. Spot measurements of one stretch
    /// are at most 36 hours apart. Waveforms are not numbers and are not judged at all.
    pub fn hold_s_max(self) -> u32 {
        match self.info().shape {
            Shape::Stream => 3_600,
            Shape::Spot => RuleSet::HOLD_S_MAX,
            Shape::Waveform => 0,
        }
    }
}

impl RuleSet {
    /// [`RuleSet::check`], and that no rule waits for longer than its data last.
    pub fn check_saving(&self) -> Result<(), BadRule> {
        self.check()?;
        self.rules.iter().try_for_each(check_rule)
    }
}

fn check_rule(rule: &Rule) -> Result<(), BadRule> {
    let waveform = |metric: Metric| {
        let reason = format!("{metric} is a waveform: it has no single values that a rule could judge");
        if metric.info().shape == Shape::Waveform { Err(bad_of(&rule.slug, reason)) } else { Ok(()) }
    };
    match &rule.test {
        Test::Threshold(test) => {
            waveform(test.metric)?;
            check_holds(&rule.slug, test)
        }
        Test::Trend(test) => waveform(test.metric),
        Test::Count(test) => waveform(test.metric),
        Test::Event(_) | Test::Silence(_) | Test::Score(_) => Ok(()),
    }
}

fn check_holds(slug: &str, test: &Threshold) -> Result<(), BadRule> {
    let (metric, longest) = (test.metric, test.metric.hold_s_max());
    for level in &test.levels {
        if level.hold_s > longest {
            let reason = format!(
                "hold_s {} is longer than the data of {metric} last: a stream breaks off when the sensor comes off or is silent, so \
                 that a stretch of more than {longest} s hardly ever holds; use a count in a window or a trend",
                level.hold_s
            );
            return Err(bad_level(slug, level.priority, reason));
        }
        if let Some(confirm) = &test.confirm
            && level.hold_s > confirm.within_s
        {
            let reason = format!(
                "hold_s {} is longer than confirm.within_s {}: the second measurement would always come too early",
                level.hold_s, confirm.within_s
            );
            return Err(bad_level(slug, level.priority, reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Priority;
    use crate::rule::{Confirm, Level, Side};

    fn set(metric: Metric, limit: f64, hold_s: u32, within_s: Option<u32>) -> RuleSet {
        let levels = vec![Level { priority: Priority::P2, limit, hold_s }];
        let confirm = within_s.map(|within_s| Confirm { within_s, unconfirmed: Priority::P3 });
        let test = Test::Threshold(Threshold { metric, side: Side::High, levels, clear_margin: 1.0, confirm });
        let rule = Rule { slug: "r".into(), zh: "r".into(), en: "r".into(), test, latching: false, hours: None };
        RuleSet { name: "a".into(), version: 1, source: "s".into(), rules: vec![rule] }
    }

    #[test]
    fn a_hold_time_longer_than_the_data_last_is_refused_with_the_place() {
        set(Metric::HeartRate, 120.0, 3_600, None).check_saving().unwrap();
        let bad = set(Metric::HeartRate, 120.0, 3_601, None).check_saving().unwrap_err();
        assert_eq!((bad.rule.as_str(), bad.level), ("r", Some(Priority::P2)));
        assert!(bad.reason.contains("3601") && bad.reason.contains("heart_rate"), "{bad}");
        set(Metric::Systolic, 160.0, 86_400, None).check_saving().unwrap();
        set(Metric::Systolic, 160.0, 300, Some(300)).check_saving().unwrap();
        let bad = set(Metric::Systolic, 160.0, 301, Some(300)).check_saving().unwrap_err();
        assert!(bad.reason.contains("confirm.within_s 300"), "{bad}");
        assert!(set(Metric::Ecg, 2.0, 0, None).check_saving().is_err(), "nothing would ever judge it");
    }

    #[test]
    fn an_unknown_metric_is_named_with_where_to_look() {
        let text = serde_json::to_string(&set(Metric::Systolic, 160.0, 0, None)).unwrap();
        let bad = serde_json::from_str::<RuleSet>(&text.replace("systolic", "systolic_bp")).unwrap_err().to_string();
        assert!(bad.contains("systolic_bp") && bad.contains("/api/metrics") && bad.contains("near: systolic"), "{bad}");
    }
}
