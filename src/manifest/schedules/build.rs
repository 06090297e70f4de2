//! Reads one schedule after templating.
//!
//! Source of the rules: `_schedule_config_to_deployment_schedule` of Prefect 3.8.8 `prefect/cli/deploy/_schedules.py`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::anchor::Anchor;
use super::interval::{self, Duration};
use super::{Schedule, Spec, cron, rrule, timezone};
use crate::manifest::lax;
use crate::manifest::problem::Problem;
use crate::model::{Map, Path, Tree};

/// Reads the fields of one item and collects problems.
pub struct Builder<'a> {
    map: &'a Map,
    now: Timestamp,
    problems: Vec<Problem>,
    sealed: BTreeSet<&'static str>,
}

impl<'a> Builder<'a> {
    /// A reader of one item.
    pub fn new(map: &'a Map, now: Timestamp) -> Self {
        Builder { map, now, problems: Vec::new(), sealed: BTreeSet::new() }
    }

    /// The schedule; `pending` is its definition if that is not known yet.
    pub fn build(mut self, pending: Option<Spec>) -> Result<Schedule, Vec<Problem>> {
        let spec = match pending {
            Some(pending) => Some(pending),
            None => self.spec(),
        };
        let active = self.active();
        let parameters = self.parameters();
        let slug = self.name("slug");
        let replaces = self.name("replaces");
        match spec {
            Some(spec) if self.problems.is_empty() => {
                Ok(Schedule { spec, active, parameters, slug, replaces, sealed: self.sealed })
            }
            _ => Err(self.problems),
        }
    }

    /// A value that counts: neither absent, null, empty, zero nor false.
    fn truthy(&mut self, key: &'static str) -> Option<Tree> {
        self.given(key).filter(Tree::is_truthy)
    }

    /// A value that is neither absent nor null.
    fn given(&mut self, key: &'static str) -> Option<Tree> {
        let value = self.map.get(key)?;
        if matches!(value, Tree::Secret(_)) {
            self.sealed.insert(key);
        }
        Some(lax::revealed(value)).filter(|value| !value.is_null())
    }

    fn problem(&mut self, code: &'static str, key: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(code, Path::of(key), message));
    }

    fn helped(&mut self, code: &'static str, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(code, Path::of(key), message).help(help));
    }

    fn spec(&mut self) -> Option<Spec> {
        if let Some(cron) = self.truthy("cron") {
            self.cron(&cron)
        } else if let Some(interval) = self.truthy("interval") {
            self.interval(&interval)
        } else if let Some(rrule) = self.truthy("rrule") {
            self.rrule(&rrule)
        } else {
            let help = "give it a value for one of `cron`, `interval` and `rrule`";
            self.problems
                .push(Problem::new("E0182", Path::root(), "a schedule says nothing about when it is due").help(help));
            None
        }
    }

    fn cron(&mut self, value: &Tree) -> Option<Spec> {
        let timezone = self.timezone(false);
        let day_or = self.given("day_or").and_then(|value| self.boolean("day_or", &value));
        let cron = self.text("cron", value)?;
        if let Err(why) = cron::check(&cron) {
            self.helped("E0184", "cron", why, "five fields: minute, hour, day of month, month, day of week");
            return None;
        }
        Some(Spec::Cron { cron, timezone, day_or })
    }

    fn interval(&mut self, value: &Tree) -> Option<Spec> {
        let timezone = self.timezone(false).unwrap_or_else(|| "UTC".to_owned());
        let anchor = self.anchor();
        match lax::duration(value) {
            Ok(length) if length > Duration::ZERO => Some(Spec::Interval { length, anchor, timezone }),
            Ok(_) => {
                self.problem("E0185", "interval", "an interval must be longer than 0 seconds");
                None
            }
            Err(why) => {
                self.helped("E0185", "interval", why, interval::help(value.as_str().unwrap_or_default()));
                None
            }
        }
    }

    fn anchor(&mut self) -> Option<Anchor> {
        let value = self.truthy("anchor_date")?;
        let text = self.text("anchor_date", &value)?;
        let anchor = Anchor::parse(&text, self.now);
        if anchor.is_none() {
            let help = "write it as `2024-01-31`, `2024-01-31T09:00` or `2024-01-31T09:00:00+01:00`";
            self.helped("E0186", "anchor_date", format!("`{text}` is not a point in time"), help);
        }
        anchor
    }

    fn rrule(&mut self, value: &Tree) -> Option<Spec> {
        let text = self.text("rrule", value)?;
        let (rrule, own_zone) = match serde_json::from_str::<Value>(&text) {
            Ok(json) => self.rrule_json(&json)?,
            Err(_) => (text, None),
        };
        let declared = self.timezone(true);
        let timezone = declared.or_else(|| self.zone(own_zone, true)).unwrap_or_else(|| "UTC".to_owned());
        let checked = rrule::check(&rrule, self.now)
            .and_then(|()| rrule::with_start(&rrule, &timezone, self.now))
            .and_then(|sent| rrule::check(&sent, self.now));
        match checked {
            Ok(_) => Some(Spec::RRule { rrule, timezone }),
            Err(why) => {
                self.helped("E0187", "rrule", why, "an example: `FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=9`");
                None
            }
        }
    }

    /// A rule may be a JSON object with its time zone.
    fn rrule_json(&mut self, json: &Value) -> Option<(String, Option<Tree>)> {
        let fields = json.as_object().filter(|map| map.keys().all(|key| key == "rrule" || key == "timezone"));
        match fields.and_then(|map| Some((map.get("rrule")?.as_str()?.to_owned(), map.get("timezone").map(Tree::from))))
        {
            Some(fields) => Some(fields),
            None => {
                let help = "write the rule as text, or as `{\"rrule\": \"…\", \"timezone\": \"…\"}`";
                self.helped("E0187", "rrule", "a rule in JSON is an object of `rrule` and `timezone`", help);
                None
            }
        }
    }

    fn timezone(&mut self, for_rrule: bool) -> Option<String> {
        let declared = self.given("timezone");
        // For rules in JSON an empty zone counts as none, for plain ones as an unknown zone.
        self.zone(declared, for_rrule)
    }

    fn zone(&mut self, value: Option<Tree>, for_rrule: bool) -> Option<String> {
        let value = value.filter(|value| !value.is_null())?;
        let name = self.text("timezone", &value)?;
        if (name.is_empty() && !for_rrule) || timezone::is_known(&name, for_rrule) {
            return Some(name);
        }
        let help = match timezone::suggestion(&name) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "write an IANA name such as `America/New_York`".to_owned(),
        };
        self.helped("E0188", "timezone", format!("`{name}` is not a time zone"), help);
        None
    }

    fn active(&mut self) -> Option<bool> {
        let value = self.given("active")?;
        if value.has_unknown() { None } else { self.boolean("active", &value) }
    }

    fn boolean(&mut self, key: &str, value: &Tree) -> Option<bool> {
        let read = lax::boolean(value);
        if read.is_none() {
            let shown = value.as_str().map_or_else(|| lax::type_name(value).to_owned(), |text| format!("`{text}`"));
            self.problem("E0183", key, format!("`{key}` is true or false, not {shown}"));
        }
        read
    }

    fn parameters(&mut self) -> Option<Map> {
        match self.truthy("parameters")? {
            Tree::Map(map) => Some(map),
            other => {
                self.problem(
                    "E0183",
                    "parameters",
                    format!("`parameters` is a mapping, not {}", lax::type_name(&other)),
                );
                None
            }
        }
    }

    fn name(&mut self, key: &'static str) -> Option<String> {
        let value = self.truthy(key)?;
        if value.has_unknown() { None } else { self.text(key, &value) }
    }

    fn text(&mut self, key: &str, value: &Tree) -> Option<String> {
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            let help = "put quotes around the value";
            self.helped("E0183", key, format!("`{key}` is text, not {}", lax::type_name(value)), help);
        }
        text
    }
}
