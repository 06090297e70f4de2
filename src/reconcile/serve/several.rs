//! Metrics of several environments as one text: each sample says whose it is.

use indexmap::IndexMap;

use crate::report::metrics::escaped;

/// Puts texts of Prometheus together, each with the label `env`.
pub(super) fn merged(texts: &[(String, String)]) -> String {
    // By metric, in the order of the first text: what it is, and its samples.
    let mut all: IndexMap<String, (String, Vec<String>)> = IndexMap::new();
    for (env, text) in texts {
        let label = format!("env=\"{}\"", escaped(env));
        for line in text.lines() {
            let (name, rest) = split(line);
            let metric = all.entry(name.to_owned()).or_default();
            match rest {
                None if !metric.0.contains(line) => metric.0.push_str(&format!("{line}\n")),
                None => {}
                Some(sample) => metric.1.push(labelled(name, sample, &label)),
            }
        }
    }
    all.into_values().map(|(told, samples)| told + &samples.concat()).collect()
}

/// The metric that a line is about; of a sample, what follows.
fn split(line: &str) -> (&str, Option<&str>) {
    match line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")) {
        Some(told) => (told.split(' ').next().unwrap_or(told), None),
        None => {
            let end = line.find(['{', ' ']).unwrap_or(line.len());
            (&line[..end], Some(&line[end..]))
        }
    }
}

fn labelled(name: &str, sample: &str, label: &str) -> String {
    match sample.strip_prefix('{') {
        Some(rest) => format!("{name}{{{label},{rest}\n"),
        None => format!("{name}{{{label}}}{sample}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_stay_together_and_say_whose_they_are() {
        let one =
            |n: u8| format!("# HELP a What.\n# TYPE a gauge\na {n}\n# HELP b B.\n# TYPE b counter\nb{{x=\"1\"}} {n}\n");
        let text = merged(&[("test".to_owned(), one(1)), ("prod".to_owned(), one(2))]);
        let wanted = "# HELP a What.\n# TYPE a gauge\na{env=\"test\"} 1\na{env=\"prod\"} 2\n\
                      # HELP b B.\n# TYPE b counter\nb{env=\"test\",x=\"1\"} 1\nb{env=\"prod\",x=\"1\"} 2\n";
        assert_eq!(text, wanted);
    }
}
