//! `Verdict`: how runs ended, and whether that is true: by the marks that they left, and by what was done to them.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::siege::Siege;

/// About all runs.
#[derive(Default)]
pub struct Verdict {
    /// How many ended in which way.
    ends: BTreeMap<String, usize>,
    /// What cannot be true, each with all that is known of it.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Judges a run. It leaves a mark when it begins and another one when its work is done.
    pub fn judge(&mut self, siege: &Siege, name: &str, id: &str, state: &Value) {
        let head = format!("{name}.");
        let marks = fs::read_dir(siege.site.notes()).unwrap().map(|entry| entry.unwrap().file_name());
        let ours = marks.filter_map(|mark| mark.into_string().ok()).filter(|mark| mark.starts_with(&head));
        let (done, begun): (Vec<String>, Vec<String>) = ours.partition(|mark| mark.ends_with(".done"));
        let kind = state["type"].as_str().unwrap_or_default();
        let message = state["message"].as_str().unwrap_or_default();
        let end = match (kind, begun.len(), done.len(), siege.was_killed(id)) {
            ("COMPLETED", 1, 1, _) => "completed, having run once".to_owned(),
            ("CRASHED", 0 | 1, _, true) if !message.is_empty() => "crashed, having been killed".to_owned(),
            ("CRASHED", 0, 0, false) if !message.is_empty() => format!("crashed before they began ({message})"),
            (_, begun, done, killed) => {
                let (states, said) = (siege.site.states(id).join(" "), siege.said_of(id));
                let told = format!("{name} {id} began {begun} times, ended {done} times, killed: {killed}");
                self.wrong.push(format!("{told}\n  {states}\n  {state}\n{said}"));
                "wrong".to_owned()
            }
        };
        *self.ends.entry(end).or_default() += 1;
    }

    /// How many ended in which way.
    pub fn summary(&self) -> String {
        let mut all: Vec<_> = self.ends.iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        all.into_iter().map(|(end, count)| format!("{count} {end}")).collect::<Vec<_>>().join("; ")
    }
}
