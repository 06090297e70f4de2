//! The kinds of trigger: event, metric, compound and sequence.

use super::read::{Reader, entries, number};
use crate::manifest::lax;
use crate::manifest::schedules::interval::Duration;
use crate::model::{Map, Path, Tree};

const METRICS: [&str; 3] = ["lateness", "duration", "successes"];
const OPERATORS: [&str; 4] = ["<", "<=", ">", ">="];
const TEN_SECONDS: Duration = Duration::seconds(10);
const FIVE_MINUTES: Duration = Duration::seconds(300);
/// Triggers inside triggers may go this deep.
const MAX_DEPTH: usize = 64;

impl Reader {
    pub(super) fn event(&mut self, map: &Map, path: &Path) -> Tree {
        let resources = self.resources(map, path);
        let [after, expect, for_each] = ["after", "expect", "for_each"].map(|key| self.set(map, path, key));
        let posture = self.posture(map, path);
        let threshold = match map.get("threshold") {
            None => Tree::int(1),
            Some(value) => {
                self.scalar(value, path.key("threshold"), "a whole number", |plain| lax::integer(plain).map(Tree::int))
            }
        };
        let within = self.event_within(map, path, posture.as_str() == Some("Proactive"));
        let [matching, related] = resources;
        entries([
            ("type", Tree::text("event")),
            ("match", matching),
            ("match_related", related),
            ("after", after),
            ("expect", expect),
            ("for_each", for_each),
            ("posture", posture),
            ("threshold", threshold),
            ("within", within),
        ])
    }

    fn posture(&mut self, map: &Map, path: &Path) -> Tree {
        match map.get("posture").map(lax::revealed) {
            None => Tree::text("Reactive"),
            Some(value @ Tree::Unknown(_)) => value,
            Some(value) if matches!(value.as_str(), Some("Reactive" | "Proactive")) => value,
            Some(_) => {
                self.problem(path.key("posture"), "the posture of an event trigger is Reactive or Proactive");
                Tree::Null
            }
        }
    }

    fn event_within(&mut self, map: &Map, path: &Path, proactive: bool) -> Tree {
        let at = path.key("within");
        let value = match map.get("within") {
            None => Tree::int(0),
            Some(Tree::Unknown(why)) => return Tree::Unknown(*why),
            Some(value) => lax::revealed(value),
        };
        if value.is_null() {
            self.helped(at, "`within` is a length of time, not null", "remove the key for the default");
            return Tree::Null;
        }
        if proactive && !value.is_truthy() {
            return number(TEN_SECONDS);
        }
        if proactive && !matches!(value, Tree::Number(_) | Tree::Bool(_)) {
            // Prefect compares it with a length of time before it is read as one.
            self.helped(
                at,
                "`within` of a Proactive trigger is a number of seconds",
                "write the seconds without quotes",
            );
            return Tree::Null;
        }
        match lax::duration(&value) {
            Ok(within) if proactive && within < TEN_SECONDS => {
                self.problem(at, "`within` of a Proactive trigger is at least 10 seconds");
                Tree::Null
            }
            Ok(within) if within < Duration::ZERO => {
                self.problem(at, "`within` cannot be negative");
                Tree::Null
            }
            Ok(within) => number(within),
            Err(why) => {
                self.problem(at, why);
                Tree::Null
            }
        }
    }

    pub(super) fn metric_trigger(&mut self, map: &Map, path: &Path) -> Tree {
        let [matching, related] = self.resources(map, path);
        if let Some(posture) = map.get("posture")
            && lax::revealed(posture).as_str() != Some("Metric")
        {
            self.problem(path.key("posture"), "the posture of a metric trigger is Metric");
        }
        let at = path.key("metric");
        let metric = match map.get("metric") {
            Some(Tree::Map(metric)) => self.metric(metric, &at),
            Some(other) => {
                self.problem(at, format!("`metric` is a mapping, not {}", lax::type_name(other)));
                Tree::Null
            }
            None => {
                self.problem(at, "a metric trigger needs `metric`");
                Tree::Null
            }
        };
        entries([
            ("type", Tree::text("metric")),
            ("match", matching),
            ("match_related", related),
            ("posture", Tree::text("Metric")),
            ("metric", metric),
        ])
    }

    fn metric(&mut self, map: &Map, path: &Path) -> Tree {
        let name = self.choice(map, path, "name", &METRICS);
        let threshold = match map.get("threshold") {
            None => {
                self.problem(path.key("threshold"), "a metric needs `threshold`");
                Tree::Null
            }
            Some(value) => self.scalar(value, path.key("threshold"), "a number", |plain| {
                lax::float(plain).and_then(serde_json::Number::from_f64).map(Tree::Number)
            }),
        };
        let operator = self.choice(map, path, "operator", &OPERATORS);
        let [range, firing_for] = ["range", "firing_for"].map(|key| {
            let length = self.duration(map, path, key, FIVE_MINUTES);
            if length.is_some_and(|length| length < FIVE_MINUTES) {
                self.problem(path.key(key), format!("`{key}` is at least 300 seconds"));
            }
            self.shown(map, key, length)
        });
        entries([
            ("name", name),
            ("threshold", threshold),
            ("operator", operator),
            ("range", range),
            ("firing_for", firing_for),
        ])
    }

    fn choice(&mut self, map: &Map, path: &Path, key: &str, known: &[&str]) -> Tree {
        match map.get(key).map(lax::revealed) {
            Some(value @ Tree::Unknown(_)) => value,
            Some(value) if value.as_str().is_some_and(|text| known.contains(&text)) => value,
            _ => {
                self.problem(path.key(key), format!("`{key}` of a metric is one of {}", known.join(", ")));
                Tree::Null
            }
        }
    }

    pub(super) fn compound(&mut self, map: &Map, path: &Path) -> Tree {
        let triggers = self.inner(map, path);
        let within = self.optional_duration(map, path);
        let at = path.key("require");
        let require = match map.get("require").map(lax::revealed) {
            Some(value @ Tree::Unknown(_)) => value,
            Some(value) if matches!(value.as_str(), Some("any" | "all")) => value,
            Some(value) => match lax::integer(&value) {
                Some(count) if count >= 1 && usize::try_from(count).is_ok_and(|count| count <= triggers.len()) => {
                    Tree::int(count)
                }
                Some(count) => {
                    let message =
                        format!("`require` is between 1 and the number of triggers, {}, not {count}", triggers.len());
                    self.problem(at, message);
                    Tree::Null
                }
                None => {
                    self.problem(at, "`require` is a number, `any` or `all`");
                    Tree::Null
                }
            },
            None => {
                self.problem(at, "a compound trigger needs `require`");
                Tree::Null
            }
        };
        entries([
            ("type", Tree::text("compound")),
            ("triggers", Tree::List(triggers)),
            ("within", within),
            ("require", require),
        ])
    }

    pub(super) fn inner(&mut self, map: &Map, path: &Path) -> Vec<Tree> {
        let path = path.key("triggers");
        let items = match map.get("triggers") {
            Some(Tree::List(items)) => items,
            Some(other) => {
                self.problem(path, format!("`triggers` is a list, not {}", lax::type_name(other)));
                return Vec::new();
            }
            None => {
                self.problem(path, "`triggers` is missing");
                return Vec::new();
            }
        };
        if path.0.len() > 2 * MAX_DEPTH {
            self.problem(path, format!("triggers inside triggers go deeper than {MAX_DEPTH}"));
            return Vec::new();
        }
        let each = items.iter().enumerate().map(|(i, item)| match item {
            Tree::Map(map) => self.trigger(map, &path.item(i), false),
            Tree::Unknown(why) => Tree::Unknown(*why),
            other => {
                self.problem(path.item(i), format!("a trigger is a mapping, not {}", lax::type_name(other)));
                Tree::Null
            }
        });
        each.collect()
    }
}
