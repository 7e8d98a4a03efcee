//! Median, minimum and maximum of repeated measurements.

use serde::Serialize;

/// A summary of some measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// Median; the mean of the two middle values if their number is even.
    pub(crate) median: f64,
    /// Minimum.
    pub(crate) min: f64,
    /// Maximum.
    pub(crate) max: f64,
}

impl Spread {
    /// Summarises the measurements; `None` if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let lower = sorted.get((sorted.len() - 1) / 2)?;
        let upper = sorted.get(sorted.len() / 2)?;
        Some(Self { median: f64::midpoint(*lower, *upper), min, max })
    }

    /// `MEDIAN (MIN–MAX)`, each divided by `unit` and with `decimals` decimals.
    pub(crate) fn shown(&self, unit: f64, decimals: usize) -> String {
        let [median, min, max] = [self.median, self.min, self.max].map(|value| value / unit);
        format!("{median:.decimals$} ({min:.decimals$}–{max:.decimals$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_or_the_mean_of_the_two_middle_values() {
        assert_eq!(Spread::of([3.0, 1.0, 8.0]), Some(Spread { median: 3.0, min: 1.0, max: 8.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of([5.0]).unwrap().shown(1.0, 1), "5.0 (5.0–5.0)");
        assert_eq!(Spread::of([]), None);
    }
}
