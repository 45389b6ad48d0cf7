//! A set of numbers kept as runs: what was sent, what is done, what is missing.

use std::collections::BTreeMap;

/// Runs neither touch nor overlap. Both ends of every range given or returned are included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(BTreeMap<u64, u64>);

impl Runs {
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of runs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Numbers in the set.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        self.0.iter().map(|(first, last)| (*first, *last))
    }

    /// The run that holds `number`.
    pub fn run_of(&self, number: u64) -> Option<(u64, u64)> {
        let (first, last) = self.0.range(..=number).next_back()?;
        (number <= *last).then_some((*first, *last))
    }

    /// The first number of the first run after `number`.
    pub fn next_after(&self, number: u64) -> Option<u64> {
        self.0.range(number.checked_add(1)?..).next().map(|(first, _)| *first)
    }

    /// The last number of the last run before `number`.
    pub fn last_before(&self, number: u64) -> Option<u64> {
        self.0.range(..number).next_back().map(|(_, last)| *last).filter(|last| *last < number)
    }

    /// Adds `first..=last`; an empty range adds nothing.
    pub fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let (mut first, mut last) = (first, last);
        // Every run that touches the new one becomes part of it.
        while let Some((&near, &end)) = self.0.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.0.remove(&near);
            first = first.min(near);
            last = last.max(end);
        }
        self.0.insert(first, last);
    }

    /// Takes `first..=last` out.
    pub fn remove(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        while let Some((&near, &end)) = self.0.range(..=last).next_back() {
            if end < first {
                break;
            }
            self.0.remove(&near);
            if end > last {
                self.0.insert(last + 1, end);
            }
            if near < first {
                self.0.insert(near, first - 1);
            }
        }
    }

    /// What of `first..=last` is not in the set, ascending.
    #[must_use]
    pub fn missing(&self, first: u64, last: u64) -> Self {
        let mut missing = Self::default();
        missing.insert(first, last);
        let (start, _) = self.run_of(first).unwrap_or((first, first));
        for (from, to) in self.0.range(start..).take_while(|(from, _)| **from <= last) {
            missing.remove(*from, *to);
        }
        missing
    }
}

impl FromIterator<(u64, u64)> for Runs {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(ranges: I) -> Self {
        let mut runs = Self::default();
        for (first, last) in ranges {
            runs.insert(first, last);
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(steps in proptest::collection::vec((any::<bool>(), 0..60_u64, 0..12_u64), 0..60)) {
            let (mut runs, mut plain) = (Runs::default(), BTreeSet::new());
            for (add, first, length) in steps {
                let last = (first + length).saturating_sub(1);
                if add {
                    runs.insert(first, last);
                    plain.extend(first..=last);
                } else {
                    runs.remove(first, last);
                    plain.retain(|number| !(first..=last).contains(number));
                }
            }
            let told: BTreeSet<u64> = runs.iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(&told, &plain);
            prop_assert_eq!(runs.count(), plain.len() as u64);
            let apart = runs.iter().zip(runs.iter().skip(1)).all(|((_, end), (next, _))| end + 1 < next);
            prop_assert!(apart);
            let missing: BTreeSet<u64> = runs.missing(5, 50).iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(missing, (5..=50).filter(|number| !plain.contains(number)).collect::<BTreeSet<_>>());
            for number in 0..80 {
                prop_assert_eq!(runs.run_of(number).is_some(), plain.contains(&number));
                let next = runs.iter().map(|(first, _)| first).find(|first| *first > number);
                prop_assert_eq!(runs.next_after(number), next);
            }
        }
    }
}
