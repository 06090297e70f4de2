//! Schedules given on the command line, laid over those of the file.
//!
//! Source of the rules: `_apply_cli_options_to_deploy_config` of Prefect 3.8.8 `prefect/cli/deploy/_config.py`.

use crate::model::{Map, Tree};

/// `--cron`, `--interval`, `--rrule`, `--anchor-date` and `--timezone`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduleFlags {
    /// Cron expressions.
    pub cron: Vec<String>,
    /// Seconds.
    pub interval: Vec<i64>,
    /// Recurrence rules.
    pub rrule: Vec<String>,
    /// The anchor of every interval schedule, those of the file too.
    pub anchor_date: Option<String>,
    /// The time zone of every schedule, those of the file too.
    pub timezone: Option<String>,
}

impl ScheduleFlags {
    /// The `schedules` of a declaration with the flags applied, before templating.
    ///
    /// New schedules come after those of the file: crons, then intervals, then rules.
    pub fn apply(&self, declared: Option<Tree>) -> Option<Tree> {
        let added = self.schedules();
        let mut items = match declared {
            Some(Tree::List(items)) => items,
            other if added.is_empty() => return other,
            _ => Vec::new(),
        };
        items.extend(added);
        for item in &mut items {
            self.overlay(item);
        }
        Some(Tree::List(items))
    }

    fn schedules(&self) -> Vec<Tree> {
        let crons = self.cron.iter().map(|cron| ("cron", Tree::text(cron)));
        let intervals = self.interval.iter().map(|seconds| ("interval", Tree::int(*seconds)));
        let rules = self.rrule.iter().map(|rule| ("rrule", Tree::text(rule)));
        let all = crons.chain(intervals).chain(rules);
        all.map(|(key, value)| Tree::Map(Map::from([(key.to_owned(), value)]))).collect()
    }

    fn overlay(&self, item: &mut Tree) {
        let Tree::Map(map) = item else { return };
        let anchor = self.anchor_date.as_deref().filter(|text| !text.is_empty());
        if let Some(anchor) = anchor.filter(|_| map.get("interval").is_some_and(Tree::is_truthy)) {
            map.insert("anchor_date".to_owned(), Tree::text(anchor));
        }
        if let Some(timezone) = self.timezone.as_deref().filter(|text| !text.is_empty()) {
            map.insert("timezone".to_owned(), Tree::text(timezone));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flags_come_after_and_over_the_file() {
        let flags = ScheduleFlags {
            cron: vec!["0 0 * * *".to_owned()],
            interval: vec![60],
            rrule: vec![],
            anchor_date: Some("2024".to_owned()),
            timezone: Some("UTC".to_owned()),
        };
        let applied = flags.apply(Some(json!([{"rrule": "FREQ=DAILY", "timezone": "Asia/Tokyo"}]).into()));
        let expected = json!([{"rrule": "FREQ=DAILY", "timezone": "UTC"}, {"cron": "0 0 * * *", "timezone": "UTC"},
            {"interval": 60, "anchor_date": "2024", "timezone": "UTC"}]);
        assert_eq!(applied, Some(expected.into()));
        assert_eq!(ScheduleFlags::default().apply(None), None);
        assert_eq!(ScheduleFlags::default().apply(Some(Tree::Null)), Some(Tree::Null));
    }
}
