//! `Metrics`: numbers in the text format of Prometheus.

use std::fmt::Write;

/// Metrics as they are served, one after another.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The text so far.
    pub text: String,
}

impl Metrics {
    /// Adds one: its name without `reconcile_`, whether it is a `counter` or a `gauge`, what it is, and its samples with
    /// their labels.
    pub fn metric(&mut self, name: &str, kind: &str, help: &str, samples: impl IntoIterator<Item = (String, f64)>) {
        let _ = writeln!(self.text, "# HELP reconcile_{name} {help}\n# TYPE reconcile_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.text, "reconcile_{name}{labels} {value}");
        }
    }
}

/// One sample without labels.
pub fn one(value: f64) -> [(String, f64); 1] {
    [(String::new(), value)]
}

/// A count as a sample: exact below 2⁵³.
pub fn number(count: Option<&u64>) -> f64 {
    count.map_or(0.0, |count| *count as f64)
}

/// A text as the value of a label.
pub fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_below_what_they_are() {
        let mut metrics = Metrics::default();
        metrics.metric(
            "x_total",
            "counter",
            "What x is.",
            [(format!("{{a=\"{}\"}}", escaped("q\"\n")), number(Some(&3)))],
        );
        metrics.metric("y", "gauge", "What y is.", one(0.5));
        let expected = "# HELP reconcile_x_total What x is.\n# TYPE reconcile_x_total counter\n\
            reconcile_x_total{a=\"q\\\"\\n\"} 3\n# HELP reconcile_y What y is.\n# TYPE reconcile_y gauge\nreconcile_y 0.5\n";
        assert_eq!(metrics.text, expected);
    }
}
