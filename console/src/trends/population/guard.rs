//! What of a table must not be shown, so that nobody can be found in it, not even by subtracting. Pure.
//!
//! Least size: 11. The cell size suppression policy of the US Centers for Medicare and Medicaid Services hides every count from 1 to
//! 10, and every percentage or other figure from which such a count could be worked out. Chinese rules (GB/T 37964-2019,
//! GB/T 39725-2020) ask for de-identified aggregates and leave the number to whoever publishes.
//!
//! Hiding one group is not enough when the total is known: the groups that are hidden must be at least as large together. Teams
//! lie within townships, which are a table of their own: what is hidden there stays hidden here, and within a township that is
//! shown its hidden teams must be large enough together.

use std::collections::BTreeMap;

/// Elders a group must have to be shown.
pub(super) const K: usize = 11;
pub(super) const SOURCE: &str =
    "CMS cell size suppression policy (no count of 1 to 10), with complementary suppression";

/// A group of `n` elders, of whom something is true of `c`. Groups without a share have `c` 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) n: usize,
    pub(super) c: usize,
}

impl Count {
    /// Its size may be shown: nobody, or enough.
    pub(super) const fn size_shows(self) -> bool {
        self.n == 0 || self.n >= K
    }

    /// Its share may be shown: none of enough, or enough on either side.
    pub(super) const fn share_shows(self) -> bool {
        self.n == 0 || (self.n >= K && (self.c == 0 || (self.c >= K && self.n - self.c >= K)))
    }

    /// How many it is of may be shown beside `n`: of nobody, or of enough, with none or enough left over (`c`).
    pub(super) const fn rest_shows(self) -> bool {
        self.n == 0 || (self.n >= K && (self.c == 0 || self.c >= K))
    }

    const fn with(self, other: Self) -> Self {
        Self { n: self.n + other.n, c: self.c + other.c }
    }
}

/// Why a group is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    Small,
    /// So that a small one cannot be worked out.
    BesideSmall,
}

impl Hidden {
    pub(super) const fn slug(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::BesideSmall => "beside_small",
        }
    }
}

/// Which of the groups to hide. `within`: the place of the larger group in the table that shows it, one for each; all equal: none.
/// It is a place so that of larger groups of one size the same is hidden here as there.
pub(super) fn hidden(counts: &[Count], within: &[usize], shows: fn(Count) -> bool) -> Vec<Option<Hidden>> {
    let mut larger: BTreeMap<usize, (Count, Vec<usize>)> = BTreeMap::new();
    for (place, (count, key)) in counts.iter().zip(within).enumerate() {
        let entry = larger.entry(*key).or_default();
        *entry = (entry.0.with(*count), std::mem::take(&mut entry.1));
        entry.1.push(place);
    }
    let sums: Vec<Count> = larger.values().map(|(sum, _)| *sum).collect();
    let above = if sums.len() > 1 { among(&sums, shows) } else { vec![None; sums.len()] };
    let mut found = vec![None; counts.len()];
    for ((_, places), above) in larger.values().zip(above) {
        let inside: Vec<Count> = places.iter().filter_map(|place| counts.get(*place)).copied().collect();
        let marks = if above.is_some() {
            inside.iter().map(|count| all(*count, shows)).collect()
        } else {
            among(&inside, shows)
        };
        for (place, mark) in places.iter().zip(marks) {
            if let Some(slot) = found.get_mut(*place) {
                *slot = mark;
            }
        }
    }
    found
}

/// Hidden whatever its size: its larger group is.
fn all(count: Count, shows: fn(Count) -> bool) -> Option<Hidden> {
    (count.n > 0).then_some(if shows(count) { Hidden::BesideSmall } else { Hidden::Small })
}

/// Groups whose sum is known: the hidden ones together must be fit to be shown.
fn among(counts: &[Count], shows: fn(Count) -> bool) -> Vec<Option<Hidden>> {
    let mut found: Vec<Option<Hidden>> = counts.iter().map(|count| (!shows(*count)).then_some(Hidden::Small)).collect();
    loop {
        let hidden = || counts.iter().zip(&found).filter(|(_, mark)| mark.is_some()).map(|(count, _)| *count);
        let sum = hidden().fold(Count::default(), Count::with);
        if hidden().next().is_none() || shows(sum) {
            return found;
        }
        let open = counts.iter().enumerate().filter(|(place, count)| count.n > 0 && found.get(*place) == Some(&None));
        let Some((smallest, _)) = open.min_by_key(|(_, count)| count.n) else { return found };
        if let Some(slot) = found.get_mut(smallest) {
            *slot = Some(Hidden::BesideSmall);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Hidden::{BesideSmall, Small};
    use super::*;

    fn sizes(sizes: &[usize]) -> Vec<Count> {
        sizes.iter().map(|n| Count { n: *n, c: 0 }).collect()
    }

    fn flat(counts: &[Count], shows: fn(Count) -> bool) -> Vec<Option<Hidden>> {
        hidden(counts, &vec![0; counts.len()], shows)
    }

    #[test]
    fn a_small_group_cannot_be_worked_out_from_the_total() {
        let size = Count::size_shows;
        assert_eq!(flat(&sizes(&[11, 40, 500]), size), [None, None, None]);
        // One of 4 alone would be the total less the others: the next smallest goes with it.
        assert_eq!(flat(&sizes(&[4, 40, 30, 500]), size), [Some(Small), None, Some(BesideSmall), None]);
        // Two small ones of 12 together need no other.
        assert_eq!(flat(&sizes(&[6, 40, 6]), size), [Some(Small), None, Some(Small)]);
        assert_eq!(flat(&sizes(&[6, 40, 4]), size), [Some(Small), Some(BesideSmall), Some(Small)]);
        // Nobody is nothing to hide.
        assert_eq!(flat(&sizes(&[0, 40]), size), [None, None]);
        assert_eq!(flat(&sizes(&[3, 0]), size), [Some(Small), None]);
    }

    #[test]
    fn teams_do_not_give_away_their_township() {
        let size = Count::size_shows;
        // Township A has 5, so B (20) is hidden beside it in the table of townships; C (100) is shown.
        let counts = sizes(&[5, 12, 8, 60, 36, 4]);
        let found = hidden(&counts, &[1, 2, 2, 3, 3, 3], size);
        assert_eq!(found[..3], [Some(Small), Some(BesideSmall), Some(Small)]);
        // Within C the 4 would be the township less the others.
        assert_eq!(found[3..], [None, Some(BesideSmall), Some(Small)]);
    }

    #[test]
    fn shares_are_shown_when_enough_are_on_either_side() {
        let share = |n, c| Count { n, c };
        for (count, shows) in [
            (share(100, 0), true),
            (share(100, 10), false),
            (share(100, 11), true),
            (share(100, 90), false),
            (share(100, 100), false),
            (share(10, 0), false),
        ] {
            assert_eq!(count.share_shows(), shows, "{count:?}");
        }
        // 3 of 50 is hidden; the total of 60 less 45 and 12 would tell it: another goes.
        let found = flat(&[share(50, 3), share(90, 45), share(30, 12)], Count::share_shows);
        assert_eq!(found, [Some(Small), None, Some(BesideSmall)]);
    }

    #[test]
    fn a_rest_is_none_or_enough() {
        let rest = |n, c| Count { n, c };
        for (count, shows) in [
            (rest(0, 0), true),
            (rest(10, 0), false),
            (rest(11, 0), true),
            (rest(50, 1), false),
            (rest(50, 10), false),
            (rest(50, 11), true),
            (rest(50, 50), true),
        ] {
            assert_eq!(count.rest_shows(), shows, "{count:?}");
        }
        // 3 left over of the first would be the total's 23 less the others': another goes with it.
        let found = flat(&[rest(90, 3), rest(40, 20), rest(60, 0)], Count::rest_shows);
        assert_eq!(found, [Some(Small), Some(BesideSmall), None]);
    }

    /// Whatever the sizes: the hidden ones of a table, and of every township that is shown, are nobody or enough together.
    #[test]
    fn what_is_hidden_is_enough_together() {
        let mut seed = 7_u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..2_000 {
            let counts = sizes(&(0..=next(12)).map(|_| next(30) as usize).collect::<Vec<_>>());
            let within: Vec<usize> = counts.iter().map(|_| next(3) as usize).collect();
            let found = hidden(&counts, &within, Count::size_shows);
            let total: usize = counts.iter().map(|count| count.n).sum();
            let sum = |key: Option<usize>| -> usize {
                let of = counts.iter().zip(&found).zip(&within);
                of.filter(|((_, mark), one)| mark.is_some() && key.is_none_or(|key| key == **one))
                    .map(|((count, _), _)| count.n)
                    .sum()
            };
            let together = sum(None);
            assert!(together == 0 || together >= K || total < K, "{counts:?} {within:?} {found:?}");
            assert!(counts.iter().zip(&found).all(|(count, mark)| mark.is_some() || count.size_shows()), "{counts:?}");
            let mut sums: Vec<Count> = Vec::new();
            let keys: Vec<usize> = (0..3).filter(|key| within.contains(key)).collect();
            for key in &keys {
                let of = counts.iter().zip(&within).filter(|(_, one)| *one == key);
                sums.push(Count { n: of.map(|(count, _)| count.n).sum(), c: 0 });
            }
            let townships = if keys.len() > 1 { among(&sums, Count::size_shows) } else { vec![None] };
            for ((key, whole), mark) in keys.iter().zip(&sums).zip(townships) {
                let inside = sum(Some(*key));
                match mark {
                    Some(_) => assert_eq!(inside, whole.n, "all of a hidden township is hidden"),
                    None => assert!(inside == 0 || inside >= K || whole.n < K, "{counts:?} {within:?} {found:?}"),
                }
            }
        }
    }
}
