//! Estimates from paired measurements on a machine that drifts.
//!
//! The sides of a comparison are measured in turn, round after round, and compared within a round:
//! what slows down the whole machine for a while cancels. The estimate over all rounds is the
//! Hodges–Lehmann one, with the confidence interval that inverts Wilcoxon's signed-rank test
//! (Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, 3rd ed., 3.2 and 3.3): neither
//! assumes a normal distribution, and a few disturbed rounds do not move them.

/// Quantile of the standard normal distribution for a two-sided confidence of 95 %.
const Z: f64 = 1.959_964;

/// Fewest rounds for which a 95 % interval exists.
pub(crate) const FEWEST: usize = 6;

/// A value with the bounds of its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The centre of `samples`; `None` when there is none, and infinite bounds for fewer than
/// [`FEWEST`].
pub(crate) fn centre(samples: &[f64]) -> Option<Estimate> {
    let mut walsh: Vec<f64> = samples
        .iter()
        .enumerate()
        .flat_map(|(at, a)| samples.iter().skip(at).map(move |b| f64::midpoint(*a, *b)))
        .collect();
    walsh.sort_by(f64::total_cmp);
    let value = median(&walsh)?;
    let (low, high) = if samples.len() < FEWEST {
        (f64::NEG_INFINITY, f64::INFINITY)
    } else {
        let outside = outside(samples.len());
        let low = walsh.get(outside).copied().unwrap_or(f64::NEG_INFINITY);
        let mirrored = walsh.len().checked_sub(outside + 1);
        let high = mirrored.and_then(|at| walsh.get(at)).copied();
        (low, high.unwrap_or(f64::INFINITY))
    };
    Some(Estimate { value, low, high })
}

/// The ratio `numerator` / `denominator` over rounds of positive values.
pub(crate) fn ratio(numerator: &[f64], denominator: &[f64]) -> Option<Estimate> {
    let logs: Vec<f64> = numerator
        .iter()
        .zip(denominator)
        .map(|(n, d)| (n / d).ln())
        .collect();
    centre(&logs).map(|e| Estimate {
        value: e.value.exp(),
        low: e.low.exp(),
        high: e.high.exp(),
    })
}

/// The difference `left` − `right` over rounds.
pub(crate) fn difference(left: &[f64], right: &[f64]) -> Option<Estimate> {
    let differences: Vec<f64> = left.iter().zip(right).map(|(l, r)| l - r).collect();
    centre(&differences)
}

/// The middle of sorted values.
fn median(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// How many of the smallest Walsh averages of `n` samples lie below the interval, by the normal
/// approximation of the signed-rank statistic.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a number of rounds is small, and the result is bounded below by 0"
)]
fn outside(n: usize) -> usize {
    let n = n as f64;
    let mean = n * (n + 1.0) / 4.0;
    let deviation = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt();
    // Half a step is the correction for continuity.
    (Z.mul_add(-deviation, mean) - 0.5).floor().max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_six_samples_is_their_range() {
        // The exact test of 6 samples reaches 95 % with all of them only.
        let estimate = centre(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert!((estimate.value - 3.5).abs() < 1e-9);
        assert!((estimate.low - 1.0).abs() < 1e-9);
        assert!((estimate.high - 6.0).abs() < 1e-9);
    }

    #[test]
    fn the_number_outside_follows_the_published_table() {
        // Two-sided 5 % critical values of the signed-rank statistic: 8 for n = 10, 52 for n = 20,
        // 137 for n = 30.
        for (n, critical) in [(10, 8), (20, 52), (30, 137)] {
            assert!(outside(n).abs_diff(critical) <= 1, "{n}: {}", outside(n));
        }
    }

    #[test]
    fn a_disturbed_round_moves_the_ratio_little() {
        let native: Vec<f64> = (0..20).map(|i| 100.0 + f64::from(i)).collect();
        let mut ours: Vec<f64> = native.iter().map(|n| n * 0.97).collect();
        if let Some(first) = ours.first_mut() {
            *first /= 10.0;
        }
        let estimate = ratio(&ours, &native).unwrap();
        assert!((estimate.value - 0.97).abs() < 0.001, "{estimate:?}");
        assert!(estimate.low <= estimate.value && estimate.value <= estimate.high);
    }

    #[test]
    fn few_rounds_bound_nothing() {
        let estimate = centre(&[1.0, 2.0]).unwrap();
        assert!(estimate.low.is_infinite() && estimate.high.is_infinite());
        assert_eq!(centre(&[]), None);
    }
}
