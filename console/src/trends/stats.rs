//! Small statistics, each in one place: means, spread, quantiles. Pure; no answer for what has none.

/// The mean. `None`: of nothing.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation of a sample (by n - 1). `None`: of less than two.
pub(super) fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Values in order, for quantiles.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted(Vec<f64>);

impl Sorted {
    pub(super) fn new(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The quantile `q` (0 to 1) with linear interpolation between the two nearest (Hyndman and Fan 1996, type 7).
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.0.len().checked_sub(1)?;
        let place = q.clamp(0.0, 1.0) * last as f64;
        let below = place.floor() as usize;
        let (low, high) = (self.0.get(below)?, self.0.get((below + 1).min(last))?);
        Some(low + (high - low) * (place - below as f64))
    }

    pub(super) fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// The median distance from the median, times 1.4826: as large as the standard deviation of a normal distribution, and not
    /// moved by a few wild values (Rousseeuw and Croux 1993).
    pub(super) fn spread(&self) -> Option<f64> {
        let median = self.median()?;
        let distances = Self::new(self.0.iter().map(|value| (value - median).abs()).collect());
        distances.median().map(|distance| distance * 1.4826)
    }

    /// The share of values that are not above this one.
    pub(super) fn share_up_to(&self, value: f64) -> Option<f64> {
        let below = self.0.partition_point(|one| *one <= value);
        (!self.0.is_empty()).then(|| below as f64 / self.0.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?} is not {expected}");
    }

    #[test]
    fn figures_worked_out_by_hand() {
        near(mean(&[2.0, 4.0, 9.0]), 5.0);
        // Distances -3, -1, 4: squares 26, by 2.
        near(deviation(&[2.0, 4.0, 9.0]), 13.0_f64.sqrt());
        assert_eq!((mean(&[]), deviation(&[1.0])), (None, None));
        let sorted = Sorted::new(vec![40.0, 10.0, 30.0, 20.0]);
        near(sorted.quantile(0.0), 10.0);
        near(sorted.quantile(1.0), 40.0);
        near(sorted.median(), 25.0);
        // Place 0.75: three quarters of the way from 10 to 20.
        near(sorted.quantile(0.25), 17.5);
        // Distances from 25: 5, 5, 15, 15; their median is 10.
        near(sorted.spread(), 14.826);
        near(sorted.share_up_to(30.0), 0.75);
        assert_eq!((Sorted::default().median(), Sorted::default().share_up_to(1.0)), (None, None));
    }
}
