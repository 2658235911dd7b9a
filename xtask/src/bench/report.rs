//! What a benchmark prints, and writes to `target/bench/NAME.json`.

use std::{fs, path::PathBuf};

use serde::Serialize;

use super::statistics::{self, Estimate};
use crate::{
    fault::Fault,
    workspace::{Root, create_folder},
};

/// Within this range, the ratio of a thing to itself says that a comparison is valid.
const QUIET: std::ops::RangeInclusive<f64> = 0.97..=1.03;

/// What a row has to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gate {
    /// Reported only.
    None,
    /// The ratio's lower bound is at least this.
    RatioAtLeast(f64),
    /// Ours minus the baseline is at most this, by its upper bound; in the row's unit.
    MoreAtMost(f64),
    /// Ours alone is at most this, by its upper bound; in the row's unit.
    AtMost(f64),
}

/// Measurements of one thing: one value a round for each side, all in one unit.
#[derive(Default)]
pub(crate) struct Rounds {
    pub(crate) ours: Vec<f64>,
    pub(crate) baseline: Vec<f64>,
    /// The baseline a second time.
    pub(crate) control: Vec<f64>,
}

/// A line of the comparison.
#[derive(Serialize)]
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    /// Medians over the rounds.
    ours: f64,
    baseline: Option<f64>,
    /// Ours by the baseline, with its 95 % confidence bounds.
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    /// The bound that the gate looks at.
    bound: Option<f64>,
    gate: String,
    /// Absent where there is no gate.
    pass: Option<bool>,
    /// The baseline by itself, measured in the same rounds.
    control: Option<f64>,
    rounds: usize,
}

impl Row {
    /// Compares the sides; `None` when a round is missing.
    pub(crate) fn compare(
        name: String,
        unit: &'static str,
        rounds: &Rounds,
        gate: Gate,
    ) -> Option<Self> {
        let ours = statistics::centre(&rounds.ours)?;
        let baseline = statistics::centre(&rounds.baseline);
        let ratio = statistics::ratio(&rounds.ours, &rounds.baseline);
        let control = statistics::ratio(&rounds.control, &rounds.baseline).map(|e| e.value);
        let quiet = control.is_none_or(|ratio| QUIET.contains(&ratio));
        let (bound, text, kept) = match gate {
            Gate::None => (None, String::new(), None),
            Gate::RatioAtLeast(least) => {
                let low = ratio?.low;
                (Some(low), format!("≥ {least}"), Some(low >= least))
            }
            Gate::MoreAtMost(most) => {
                let high = statistics::difference(&rounds.ours, &rounds.baseline)?.high;
                (
                    Some(high),
                    format!("≤ {most} {unit} more"),
                    Some(high <= most),
                )
            }
            Gate::AtMost(most) => (
                Some(ours.high),
                format!("≤ {most} {unit}"),
                Some(ours.high <= most),
            ),
        };
        Some(Self {
            name,
            unit,
            ours: ours.value,
            baseline: baseline.map(|e| e.value),
            ratio: ratio.map(|e| e.value),
            ratio_low: ratio.and_then(finite(|e| e.low)),
            ratio_high: ratio.and_then(finite(|e| e.high)),
            bound: bound.filter(|bound| bound.is_finite()),
            gate: text,
            // A figure from a disturbed machine passes no gate.
            pass: kept.map(|kept| kept && quiet),
            control,
            rounds: rounds.ours.len(),
        })
    }

    /// Whether its gate is kept, or there is none.
    pub(crate) fn passes(&self) -> bool {
        self.pass != Some(false)
    }
}

/// A bound, where the rounds were enough for one.
fn finite(bound: fn(Estimate) -> f64) -> impl FnOnce(Estimate) -> Option<f64> {
    move |estimate| Some(bound(estimate)).filter(|value| value.is_finite() && *value > 0.0)
}

/// The baseline by itself, over all rows.
#[derive(Serialize)]
struct Control {
    ratio: f64,
}

/// All rows of one benchmark.
#[derive(Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
    control: Control,
}

impl Report {
    /// Collects the rows.
    pub(crate) fn new(rows: Vec<Row>) -> Self {
        let logs: Vec<f64> = rows
            .iter()
            .filter_map(|row| row.control)
            .map(f64::ln)
            .collect();
        let ratio = statistics::centre(&logs).map_or(1.0, |e| e.value.exp());
        Self {
            rows,
            control: Control { ratio },
        }
    }

    /// How many rows miss their gate.
    pub(crate) fn missed(&self) -> usize {
        self.rows.iter().filter(|row| !row.passes()).count()
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        println!(
            "\n{:<34} {:>6} {:>10} {:>10} {:>7} {:>15} {:>8}  {:<18} verdict",
            "name", "unit", "ours", "baseline", "ratio", "95 % bounds", "control", "gate"
        );
        for row in &self.rows {
            let bounds = match (row.ratio_low, row.ratio_high) {
                (Some(low), Some(high)) => format!("{low:.3} – {high:.3}"),
                _ => "–".into(),
            };
            let verdict = match row.pass {
                None => "",
                Some(true) => "kept",
                Some(false) => "MISSED",
            };
            println!(
                "{:<34} {:>6} {:>10.1} {:>10} {:>7} {:>15} {:>8}  {:<18} {verdict}",
                row.name,
                row.unit,
                row.ours,
                show(row.baseline, 1),
                show(row.ratio, 3),
                bounds,
                show(row.control, 3),
                row.gate,
            );
        }
    }

    /// Writes `target/bench/NAME.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, root: &Root, name: &str) -> Result<PathBuf, Fault> {
        let folder = root.join("target/bench");
        create_folder(&folder)?;
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_vec_pretty(self).map_err(|source| Fault::Answer {
            command: format!("bench {name}"),
            source,
        })?;
        fs::write(&path, text).map_err(|source| Fault::File {
            action: "write",
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }
}

fn show(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".into(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(ours: f64, control: f64) -> Rounds {
        Rounds {
            ours: vec![ours; 20],
            baseline: vec![100.0; 20],
            control: vec![control; 20],
        }
    }

    fn pass(rounds: &Rounds, gate: Gate) -> Option<bool> {
        Row::compare("x".into(), "ms", rounds, gate).unwrap().pass
    }

    #[test]
    fn gates_look_at_the_bound_that_can_hurt() {
        let slow = rounds(94.0, 100.0);
        assert_eq!(pass(&slow, Gate::RatioAtLeast(0.95)), Some(false));
        assert_eq!(pass(&slow, Gate::RatioAtLeast(0.93)), Some(true));
        assert_eq!(pass(&slow, Gate::None), None);
        let late = rounds(180.0, 100.0);
        assert_eq!(pass(&late, Gate::MoreAtMost(100.0)), Some(true));
        assert_eq!(pass(&late, Gate::MoreAtMost(79.0)), Some(false));
        assert_eq!(pass(&late, Gate::AtMost(100.0)), Some(false));
    }

    #[test]
    fn a_disturbed_machine_passes_no_gate() {
        let disturbed = rounds(100.0, 90.0);
        assert_eq!(pass(&disturbed, Gate::RatioAtLeast(0.95)), Some(false));
    }

    #[test]
    fn too_few_rounds_pass_no_gate() {
        let few = Rounds {
            ours: vec![100.0; 3],
            baseline: vec![100.0; 3],
            control: vec![100.0; 3],
        };
        assert_eq!(pass(&few, Gate::RatioAtLeast(0.5)), Some(false));
    }
}
