//! Schedules of a deployment: what a file may say, what Prefect makes of it, and how it compares with the server's.
//!
//! Two stages, as in Prefect: [`check`] looks at the shape of the YAML as written, before templates are filled in;
//! [`Schedule::build`] reads the values afterwards. Source of the rules: Prefect 3.8.8 `prefect/cli/deploy/_models.py`,
//! `prefect/cli/deploy/_schedules.py` and `prefect/client/schemas/schedules.py`.

pub mod anchor;
mod build;
pub mod check;
pub mod cron;
mod dates;
pub mod flags;
pub mod interval;
pub mod rrule;
pub mod timezone;
mod words;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use self::anchor::Anchor;
use self::interval::Duration;
use super::lax;
use super::problem::Problem;
use crate::model::{Map, Path, Secret, Tree};

/// One schedule, read after templating.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// When runs are due.
    pub spec: Spec,
    /// Whether it is active, if declared.
    pub active: Option<bool>,
    /// Parameters of its runs, if any are declared.
    pub parameters: Option<Map>,
    /// Its name within the deployment, if declared.
    pub slug: Option<String>,
    /// The slug of the schedule that it renames, if declared.
    pub replaces: Option<String>,
    /// Names of fields whose values came from secrets.
    sealed: BTreeSet<&'static str>,
}

/// When runs are due.
#[derive(Clone, Debug)]
pub enum Spec {
    /// By a cron expression.
    Cron {
        /// As declared.
        cron: String,
        /// Without one: UTC.
        timezone: Option<String>,
        /// Whether day of month and day of week are alternatives, if declared; else they are.
        day_or: Option<bool>,
    },
    /// At equal distances.
    Interval {
        /// The distance, more than zero.
        length: Duration,
        /// A point in time that it is counted from, if declared.
        anchor: Option<Anchor>,
        /// Where days are as long as days are.
        timezone: String,
    },
    /// By an RFC 5545 rule.
    RRule {
        /// As declared, without the `DTSTART` line that Prefect adds.
        rrule: String,
        /// Where its hours are hours.
        timezone: String,
    },
    /// Some value is the output of a step that has not run yet: the mapping as far as it is known.
    Pending(Tree),
}

/// A difference: where, what the server has, what is wanted.
pub type Difference = (Path, Option<Tree>, Option<Tree>);

/// Keys whose values decide what a schedule is.
const KEYS: [&str; 9] =
    ["cron", "interval", "rrule", "timezone", "anchor_date", "active", "slug", "replaces", "day_or"];

impl Schedule {
    /// Reads one item of `schedules` after templating. All its problems are reported.
    pub fn build(item: &Tree, now: Timestamp) -> Result<Self, Vec<Problem>> {
        let Some(map) = item.as_map() else {
            let message = format!("a schedule is a mapping, not {}", lax::type_name(item));
            return Err(vec![Problem::new("E0180", Path::root(), message)]);
        };
        let unknown = |key: &&str| map.get(*key).is_some_and(Tree::has_unknown);
        let spec = if KEYS.iter().any(unknown) { Some(Spec::Pending(item.clone())) } else { None };
        build::Builder::new(map, now).build(spec)
    }

    /// The item of `schedules` in the body that creates the deployment, all keys.
    pub fn create_body(&self, now: Timestamp) -> Tree {
        let parameters = self.parameters.clone().unwrap_or_default();
        mapping([
            ("schedule", self.spec_body(now, true)),
            ("active", Tree::Bool(self.active.unwrap_or(true))),
            ("max_scheduled_runs", Tree::Null),
            ("parameters", Tree::Map(parameters)),
            ("slug", self.text_or_null("slug", self.slug.as_deref())),
            ("replaces", self.text_or_null("replaces", self.replaces.as_deref())),
        ])
    }

    /// The item of `schedules` in the body that updates the deployment: only what is declared.
    pub fn set_fields(&self, now: Timestamp) -> Tree {
        let mut map = Map::from([("schedule".to_owned(), self.spec_body(now, false))]);
        if let Some(active) = self.active {
            map.insert("active".to_owned(), Tree::Bool(active));
        }
        if let Some(parameters) = &self.parameters {
            map.insert("parameters".to_owned(), Tree::Map(parameters.clone()));
        }
        for (key, value) in [("slug", &self.slug), ("replaces", &self.replaces)] {
            if let Some(value) = value {
                map.insert(key.to_owned(), self.seal(key, Tree::text(value)));
            }
        }
        Tree::Map(map)
    }

    /// Whether the server's schedule runs at the same times: `schedule` alone, without `active`, `parameters`, `slug`.
    pub fn same_definition(&self, found: &Value) -> bool {
        let mut all = Vec::new();
        self.spec_differences(&found["schedule"], &mut all);
        all.is_empty()
    }

    /// What is declared and otherwise on the server, whose schedule object is `found`.
    ///
    /// The definition counts whole, with the defaults that Prefect stores; `active`, `parameters` and `slug` count if
    /// declared, an anchor if it is a fixed time. Anchors compare as points in time.
    pub fn differences(&self, found: &Value) -> Vec<Difference> {
        let mut all = Vec::new();
        self.spec_differences(&found["schedule"], &mut all);
        if let Some(active) = self.active {
            compare(&mut all, Path::of("active"), found.get("active"), Tree::Bool(active));
        }
        if let Some(parameters) = &self.parameters {
            let path = Path::of("parameters");
            for (key, wanted) in parameters {
                compare(&mut all, path.key(key), found["parameters"].get(key), wanted.clone());
            }
            for (key, had) in found["parameters"].as_object().into_iter().flatten() {
                if !parameters.contains_key(key) {
                    all.push((path.key(key), Some(Tree::from(had)), None));
                }
            }
        }
        if let Some(slug) = &self.slug {
            compare(&mut all, Path::of("slug"), found.get("slug"), self.seal("slug", Tree::text(slug)));
        }
        all
    }

    fn spec_differences(&self, found: &Value, all: &mut Vec<Difference>) {
        let path = Path::of("schedule");
        let same_kind = match &self.spec {
            Spec::Cron { .. } => found["cron"].is_string(),
            Spec::Interval { .. } => found["interval"].is_number(),
            Spec::RRule { .. } => found["rrule"].is_string(),
            Spec::Pending(_) => false,
        };
        if !same_kind {
            let before = (!found.is_null()).then(|| Tree::from(found));
            all.push((path, before, Some(self.spec_declared())));
            return;
        }
        let mut differs = |key: &'static str, same: bool, wanted: Tree| {
            if !same {
                let before = found.get(key).map(Tree::from);
                all.push((path.key(key), before, Some(self.seal(key, wanted))));
            }
        };
        let zone = found["timezone"].as_str().filter(|zone| !zone.is_empty()).unwrap_or("UTC");
        match &self.spec {
            Spec::Cron { cron, timezone, day_or } => {
                let wanted = timezone.as_deref().filter(|zone| !zone.is_empty()).unwrap_or("UTC");
                let either = day_or.unwrap_or(true);
                differs("cron", found["cron"].as_str() == Some(cron), Tree::text(cron));
                differs("timezone", zone == wanted, text_or_null(timezone.as_deref()));
                differs("day_or", found["day_or"].as_bool().unwrap_or(true) == either, Tree::Bool(either));
            }
            Spec::Interval { length, anchor, timezone } => {
                let wanted = Tree::Number(length.number());
                differs("interval", Tree::from(&found["interval"]) == wanted, wanted);
                if let Some(anchor) = anchor.as_ref().filter(|anchor| !anchor.is_moving()) {
                    let instant =
                        found["anchor_date"].as_str().and_then(|text| Anchor::parse(text, Timestamp::UNIX_EPOCH));
                    let same = instant.is_some_and(|found| found.instant() == anchor.instant());
                    differs("anchor_date", same, Tree::text(anchor.text()));
                }
                let wanted = if timezone.is_empty() { "UTC" } else { timezone };
                differs("timezone", zone == wanted, Tree::text(timezone));
            }
            Spec::RRule { rrule, timezone } => {
                let same = found["rrule"].as_str().is_some_and(|found| rrule::is_same(rrule, found));
                differs("rrule", same, Tree::text(rrule));
                differs("timezone", zone == timezone, Tree::text(timezone));
            }
            Spec::Pending(_) => {}
        }
    }

    /// `schedule` as declared, for showing.
    fn spec_declared(&self) -> Tree {
        match &self.spec {
            Spec::RRule { rrule, timezone } => mapping([
                ("rrule", self.seal("rrule", Tree::text(rrule))),
                ("timezone", self.seal("timezone", Tree::text(timezone))),
            ]),
            Spec::Cron { .. } | Spec::Interval { .. } | Spec::Pending(_) => {
                self.spec_body(Timestamp::UNIX_EPOCH, false)
            }
        }
    }

    /// `schedule` as sent: all keys, or only those that are set.
    fn spec_body(&self, now: Timestamp, all: bool) -> Tree {
        let mut map = Map::new();
        let mut put = |key: &'static str, value: Tree| {
            map.insert(key.to_owned(), self.seal(key, value));
        };
        match &self.spec {
            Spec::Cron { cron, timezone, day_or } => {
                put("cron", Tree::text(cron));
                if all || timezone.is_some() {
                    put("timezone", text_or_null(timezone.as_deref()));
                }
                if all || day_or.is_some() {
                    put("day_or", Tree::Bool(day_or.unwrap_or(true)));
                }
            }
            Spec::Interval { length, anchor, timezone } => {
                put("interval", Tree::Number(length.number()));
                match anchor {
                    Some(anchor) => put("anchor_date", Tree::text(anchor.text())),
                    None if all => put("anchor_date", Tree::text(Anchor::now(now).text())),
                    None => {}
                }
                put("timezone", Tree::text(timezone));
            }
            Spec::RRule { rrule, timezone } => {
                let text = rrule::with_start(rrule, timezone, now).unwrap_or_else(|_| rrule.clone());
                put("rrule", Tree::Text(text));
                put("timezone", Tree::text(timezone));
            }
            Spec::Pending(item) => return item.clone(),
        }
        Tree::Map(map)
    }

    fn text_or_null(&self, key: &'static str, text: Option<&str>) -> Tree {
        text.map_or(Tree::Null, |text| self.seal(key, Tree::text(text)))
    }

    /// Hides what came from a secret.
    fn seal(&self, key: &'static str, value: Tree) -> Tree {
        match self.sealed.contains(key) {
            true => value.revealed(&|_| None).map_or(value, |plain| Tree::Secret(Secret::new(plain))),
            false => value,
        }
    }
}

/// Slugs that two schedules of a deployment share; the server refuses them. Paths are items of the list.
pub fn check_slugs(schedules: &[Schedule]) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let doubled = schedules.iter().enumerate().filter_map(|(i, schedule)| {
        let slug = schedule.slug.as_deref()?;
        (!seen.insert(slug)).then(|| {
            let message = format!("two schedules of the deployment have the slug `{slug}`");
            Problem::new("E0189", Path::root().item(i).key("slug"), message)
                .help("give each schedule a slug of its own")
        })
    });
    doubled.collect()
}

fn compare(all: &mut Vec<Difference>, path: Path, found: Option<&Value>, wanted: Tree) {
    let before = found.map(Tree::from);
    if before.as_ref() != Some(&wanted) {
        all.push((path, before, Some(wanted)));
    }
}

fn mapping<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    Tree::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn text_or_null(text: Option<&str>) -> Tree {
    text.map_or(Tree::Null, Tree::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-11-21T01:46:49.247389Z".parse().expect("a time")
    }

    fn build(item: Value) -> Schedule {
        Schedule::build(&Tree::from(&item), now()).unwrap_or_else(|problems| panic!("{item}: {problems:?}"))
    }

    #[test]
    fn bodies_are_prefects() {
        let cron = build(json!({"cron": "0 9 * * *", "timezone": "America/New_York"}));
        let body = json!({"schedule": {"cron": "0 9 * * *", "timezone": "America/New_York", "day_or": true}, "active": true,
            "max_scheduled_runs": null, "parameters": {}, "slug": null, "replaces": null});
        assert_eq!(cron.create_body(now()).masked().to_string(), body.to_string());
        let interval = build(json!({"interval": "PT10M", "active": "no"}));
        let body = json!({"interval": 600.0, "anchor_date": "2026-11-21T01:46:49.247389Z", "timezone": "UTC"});
        assert_eq!(interval.create_body(now()).get("schedule").expect("it").masked(), body);
        let set = json!({"schedule": {"interval": 600.0, "timezone": "UTC"}, "active": false});
        assert_eq!(interval.set_fields(now()).masked(), set);
        let rrule = build(json!({"rrule": "FREQ=DAILY", "slug": "x", "parameters": {"a": 1}}));
        let set = json!({"schedule": {"rrule": "DTSTART:20200101T000000\nFREQ=DAILY", "timezone": "UTC"},
            "parameters": {"a": 1}, "slug": "x"});
        assert_eq!(rrule.set_fields(now()).masked(), set);
    }

    #[test]
    fn every_problem_is_reported() {
        let item = json!({"cron": "x", "timezone": "europe/berlin", "active": 5, "slug": 7, "parameters": "p"});
        let problems = Schedule::build(&Tree::from(item), now()).expect_err("it is wrong");
        let places: Vec<String> = problems.iter().map(|p| p.path.to_string()).collect();
        assert_eq!(places, ["timezone", "cron", "active", "parameters", "slug"]);
        assert_eq!(problems[0].help.as_deref(), Some("did you mean `Europe/Berlin`?"));
    }

    #[test]
    fn what_the_server_fills_in_is_no_difference() {
        let found = json!({"schedule": {"interval": 600, "anchor_date": "2020-01-01T00:00:00Z", "timezone": "UTC"},
            "active": false, "parameters": {"x": 1}, "slug": null});
        assert_eq!(build(json!({"interval": 600})).differences(&found), vec![]);
        let anchored = build(json!({"interval": 600, "anchor_date": "2020-01-01T01:00:00+01:00", "active": true}));
        assert_eq!(
            anchored.differences(&found),
            vec![(Path::of("active"), Some(Tree::Bool(false)), Some(Tree::Bool(true)))]
        );
        let moved = build(json!({"interval": 600, "anchor_date": "2020-01-02"}));
        assert!(!moved.same_definition(&found));
        assert_eq!(build(json!({"interval": 600, "anchor_date": "now"})).differences(&found), vec![]);
        let other_kind = build(json!({"cron": "0 0 * * *"})).differences(&found);
        assert_eq!(other_kind[0].0.to_string(), "schedule");
    }

    #[test]
    fn secrets_stay_sealed_and_unknowns_pending() {
        let mut map = Map::new();
        map.insert("cron".to_owned(), Tree::Secret(Secret::text("0 5 * * *")));
        let schedule = Schedule::build(&Tree::Map(map.clone()), now()).expect("valid");
        assert!(!schedule.create_body(now()).masked().to_string().contains("0 5"));
        map.insert("cron".to_owned(), Tree::Unknown(crate::model::tree::Unknown::AfterBuild));
        let schedule = Schedule::build(&Tree::Map(map), now()).expect("valid");
        assert!(schedule.create_body(now()).has_unknown() && matches!(schedule.spec, Spec::Pending(_)));
    }

    #[test]
    fn doubled_slugs_are_found() {
        let all = [build(json!({"interval": 1, "slug": "a"})), build(json!({"interval": 2, "slug": "a"}))];
        assert_eq!(check_slugs(&all)[0].path.to_string(), "[1].slug");
    }
}
