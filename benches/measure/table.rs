//! `Table`: figures as rows of Markdown, ready for docs/performance.md, and how far each aim was met.

use std::time::Duration;

use super::cost::Cost;
use super::shown;

/// What is printed when everything was measured.
#[derive(Default)]
pub struct Aims(Vec<String>);

impl Aims {
    /// An aim that is met by `found` of at most `limit`, in whatever they are counted.
    pub fn at_most(&mut self, aim: &str, found: f64, limit: f64, told: &str) {
        self.row(aim, found / limit, told);
    }

    /// An aim that is met by `found` of at least `limit`.
    pub fn at_least(&mut self, aim: &str, found: f64, limit: f64, told: &str) {
        self.row(aim, limit / found, told);
    }

    /// A length of time that should be no more than `limit` in milliseconds.
    pub fn within(&mut self, aim: &str, found: Duration, limit: f64) {
        self.at_most(aim, found.as_secs_f64() * 1000.0, limit, &shown(found));
    }

    fn row(&mut self, aim: &str, ratio: f64, told: &str) {
        let verdict = if ratio <= 1.0 { "met".to_owned() } else { format!("missed, {ratio:.1} times the aim") };
        self.0.push(format!("| {aim} | {verdict} | {told} |"));
    }

    /// Prints them.
    pub fn print(&self) {
        println!("\n| Aim | | |\n|---|---|---|");
        self.0.iter().for_each(|row| println!("{row}"));
    }
}

/// The head of a table of passes.
pub fn head() {
    println!("| | Wall | Client CPU | Server CPU | Peak memory | Requests |\n|---|---|---|---|---|---|");
}

/// One row of it; what is not measured stays empty.
pub fn row(what: &str, wall: Duration, ours: Option<&Cost>, server: Duration, requests: &str) {
    let cpu = ours.map(|cost| shown(cost.cpu)).unwrap_or_default();
    let peak = ours.map(|cost| format!("{:.0} MB", cost.peak_mb)).unwrap_or_default();
    println!("| {what} | {} | {cpu} | {} | {peak} | {requests} |", shown(wall), shown(server));
}
