//! Reads the fields of triggers, fills in defaults and collects problems.

use crate::manifest::lax;
use crate::manifest::problem::Problem;
use crate::manifest::schedules::interval::Duration;
use crate::model::{Key, Map, Path, Secret, Tree};

pub const EVENT_KEYS: [&str; 8] =
    ["match", "match_related", "after", "expect", "for_each", "posture", "threshold", "within"];
pub const METRIC_KEYS: [&str; 4] = ["match", "match_related", "posture", "metric"];
pub const COMPOUND_KEYS: [&str; 3] = ["triggers", "require", "within"];
pub const SEQUENCE_KEYS: [&str; 2] = ["triggers", "within"];
pub const ALL_KEYS: [&str; 11] = [
    "match", "match_related", "after", "expect", "for_each", "posture", "threshold", "within", "metric", "triggers",
    "require",
];
const KINDS: [&str; 4] = ["event", "metric", "compound", "sequence"];
const METRICS: [&str; 3] = ["lateness", "duration", "successes"];
const OPERATORS: [&str; 4] = ["<", "<=", ">", ">="];
const FIVE_MINUTES: Duration = Duration::seconds(300);
const TEN_SECONDS: Duration = Duration::seconds(10);
/// Triggers inside triggers may go this deep.
const MAX_DEPTH: usize = 64;

/// Reads one outer trigger.
#[derive(Default)]
pub struct Reader {
    /// What is wrong, with paths below the trigger.
    pub problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, path: Path, message: impl Into<String>) {
        self.problems.push(Problem::new("E0191", path, message));
    }

    fn helped(&mut self, path: Path, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new("E0191", path, message).help(help));
    }

    /// The automation's name; `None` for null and empty ones.
    pub fn name(&mut self, map: &Map, default: String) -> Option<Tree> {
        match map.get("name") {
            None => Some(Tree::Text(default)),
            Some(value) if !value.is_truthy() && matches!(lax::revealed(value), Tree::Null | Tree::Text(_)) => None,
            Some(value) => Some(self.text_value(value, Path::of("name"))),
        }
    }

    /// A text with a default; null is no text.
    pub fn text(&mut self, map: &Map, key: &str, default: &str) -> Tree {
        match map.get(key) {
            None => Tree::text(default),
            Some(value) => self.text_value(value, Path::of(key)),
        }
    }

    fn text_value(&mut self, value: &Tree, path: Path) -> Tree {
        if !matches!(lax::revealed(value), Tree::Text(_) | Tree::Unknown(_)) {
            self.helped(path.clone(), format!("`{path}` is text, not {}", lax::type_name(value)), "put quotes around it");
        }
        value.clone()
    }

    /// `enabled`, true by default.
    pub fn enabled(&mut self, map: &Map) -> Tree {
        match map.get("enabled") {
            None => Tree::Bool(true),
            Some(value) => self.scalar(value, Path::of("enabled"), "true or false", |plain| lax::boolean(plain).map(Tree::Bool)),
        }
    }

    /// The action that runs the deployment.
    pub fn action(&mut self, map: &Map, deployment: &Key) -> Tree {
        let parameters = self.optional_map(map, "parameters");
        let job_variables = self.optional_map(map, "job_variables");
        let after = self.duration(map, &Path::root(), "schedule_after", Duration::ZERO);
        if after.is_some_and(|after| after < Duration::ZERO) {
            self.problem(Path::of("schedule_after"), "`schedule_after` cannot be negative");
        }
        entries([
            ("type", Tree::text("run-deployment")),
            ("source", Tree::text("selected")),
            ("deployment_id", Tree::IdOf(deployment.clone())),
            ("parameters", parameters),
            ("job_variables", job_variables),
            ("schedule_after", self.shown(map, "schedule_after", after)),
        ])
    }

    fn optional_map(&mut self, map: &Map, key: &str) -> Tree {
        match map.get(key) {
            None => Tree::Null,
            Some(value @ (Tree::Null | Tree::Map(_) | Tree::Unknown(_))) => value.clone(),
            Some(value @ Tree::Secret(secret)) if secret.reveal().is_object() || secret.reveal().is_null() => value.clone(),
            Some(other) => {
                self.problem(Path::of(key), format!("`{key}` is a mapping, not {}", lax::type_name(other)));
                Tree::Null
            }
        }
    }

    /// The `trigger` of the body; inner ones decide their kind in another order.
    pub fn trigger(&mut self, map: &Map, path: &Path, outer: bool) -> Tree {
        let kind = match map.get("type").map(lax::revealed) {
            Some(Tree::Text(kind)) => kind,
            Some(other) => {
                self.problem(path.key("type"), format!("`type` is text, not {}", lax::type_name(&other)));
                return Tree::Null;
            }
            None => inferred(map, outer).to_owned(),
        };
        match kind.as_str() {
            "event" => self.event(map, path),
            "metric" => self.metric_trigger(map, path),
            "compound" => self.compound(map, path),
            "sequence" => {
                let triggers = self.inner(map, path);
                let within = self.optional_duration(map, path);
                entries([("type", Tree::text("sequence")), ("triggers", Tree::List(triggers)), ("within", within)])
            }
            other => {
                let help = crate::diagnostic::did_you_mean(other, KINDS)
                    .unwrap_or_else(|| format!("the types are {}", KINDS.join(", ")));
                self.helped(path.key("type"), format!("`{other}` is not a type of trigger"), help);
                Tree::Null
            }
        }
    }

    fn event(&mut self, map: &Map, path: &Path) -> Tree {
        let resources = self.resources(map, path);
        let [after, expect, for_each] = ["after", "expect", "for_each"].map(|key| self.set(map, path, key));
        let posture = self.posture(map, path);
        let threshold = match map.get("threshold") {
            None => Tree::int(1),
            Some(value) => self.scalar(value, path.key("threshold"), "a whole number", |plain| {
                lax::integer(plain).map(Tree::int)
            }),
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
            self.helped(at, "`within` of a Proactive trigger is a number of seconds", "write the seconds without quotes");
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

    fn metric_trigger(&mut self, map: &Map, path: &Path) -> Tree {
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

    fn compound(&mut self, map: &Map, path: &Path) -> Tree {
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
                    let message = format!("`require` is between 1 and the number of triggers, {}, not {count}", triggers.len());
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

    fn inner(&mut self, map: &Map, path: &Path) -> Vec<Tree> {
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

    /// `match` and `match_related`.
    fn resources(&mut self, map: &Map, path: &Path) -> [Tree; 2] {
        let matching = match map.get("match") {
            None => Tree::Map(Map::new()),
            Some(value) => self.resource(value, path.key("match")),
        };
        let at = path.key("match_related");
        let related = match map.get("match_related") {
            None => Tree::Map(Map::new()),
            Some(Tree::List(items)) => {
                let each = items.iter().enumerate().map(|(i, item)| self.resource(item, at.item(i)));
                Tree::List(each.collect())
            }
            Some(value) => self.resource(value, at),
        };
        [matching, related]
    }

    /// Labels with a text or a list of texts each.
    fn resource(&mut self, value: &Tree, path: Path) -> Tree {
        match value {
            Tree::Map(map) => {
                for (label, wanted) in map {
                    let fits = match lax::revealed(wanted) {
                        Tree::Text(_) | Tree::Unknown(_) => true,
                        Tree::List(all) => all.iter().all(is_text),
                        _ => false,
                    };
                    if !fits {
                        let message = format!("the label `{label}` is text or a list of texts, not {}", lax::type_name(wanted));
                        self.helped(path.key(label), message, "put quotes around the value");
                    }
                }
            }
            Tree::Unknown(_) => {}
            other => self.problem(path.clone(), format!("`{path}` is a mapping of labels, not {}", lax::type_name(other))),
        }
        value.clone()
    }

    /// A list of texts without order; what stands twice counts once.
    fn set(&mut self, map: &Map, path: &Path, key: &str) -> Tree {
        let at = path.key(key);
        match map.get(key) {
            None => Tree::List(Vec::new()),
            Some(unknown @ Tree::Unknown(_)) => unknown.clone(),
            Some(value) => match lax::revealed(value) {
                Tree::List(items) if items.iter().all(is_text) => {
                    let mut unique: Vec<Tree> = Vec::new();
                    for item in items {
                        if !unique.contains(&item) {
                            unique.push(item);
                        }
                    }
                    seal_like(value, Tree::List(unique))
                }
                Tree::List(_) => {
                    self.helped(at, format!("`{key}` is a list of texts only"), "put quotes around each item");
                    Tree::Null
                }
                other => {
                    let message = format!("`{key}` is a list of texts, not {}", lax::type_name(&other));
                    self.helped(at, message, "put brackets around it");
                    Tree::Null
                }
            },
        }
    }

    fn optional_duration(&mut self, map: &Map, path: &Path) -> Tree {
        match map.get("within") {
            None | Some(Tree::Null) => Tree::Null,
            Some(_) => {
                let within = self.duration(map, path, "within", Duration::ZERO);
                self.shown(map, "within", within)
            }
        }
    }

    /// A length of time; `None` when it is unknown or wrong.
    fn duration(&mut self, map: &Map, path: &Path, key: &str, default: Duration) -> Option<Duration> {
        match map.get(key) {
            None => Some(default),
            Some(Tree::Unknown(_)) => None,
            Some(value) => match lax::duration(&lax::revealed(value)) {
                Ok(length) => Some(length),
                Err(why) => {
                    self.problem(path.key(key), why);
                    None
                }
            },
        }
    }

    /// A length of time as sent, or the unknown that stands for it.
    fn shown(&self, map: &Map, key: &str, length: Option<Duration>) -> Tree {
        match (length, map.get(key)) {
            (Some(length), _) => number(length),
            (None, Some(unknown @ Tree::Unknown(_))) => unknown.clone(),
            (None, _) => Tree::Null,
        }
    }

    fn scalar(&mut self, value: &Tree, path: Path, what: &str, read: impl Fn(&Tree) -> Option<Tree>) -> Tree {
        let plain = lax::revealed(value);
        match read(&plain) {
            Some(read) => seal_like(value, read),
            None if matches!(plain, Tree::Unknown(_)) => plain,
            None => {
                let shown = plain.as_str().map_or_else(|| lax::type_name(&plain).to_owned(), |text| format!("`{text}`"));
                self.problem(path.clone(), format!("`{path}` is {what}, not {shown}"));
                Tree::Null
            }
        }
    }
}

/// The kind of a trigger without `type`.
fn inferred(map: &Map, outer: bool) -> &'static str {
    let metric = map.get("posture").is_some_and(|posture| lax::revealed(posture).as_str() == Some("Metric"));
    let composite = map.contains_key("triggers");
    match (metric && (outer || !composite), composite, map.contains_key("require")) {
        (true, _, _) => "metric",
        (false, true, true) => "compound",
        (false, true, false) => "sequence",
        (false, false, _) => "event",
    }
}

fn is_text(tree: &Tree) -> bool {
    matches!(lax::revealed(tree), Tree::Text(_) | Tree::Unknown(_))
}

/// What was read from a secret is one.
fn seal_like(source: &Tree, value: Tree) -> Tree {
    match source {
        Tree::Secret(_) => value.revealed(&|_| None).map_or(Tree::Null, |plain| Tree::Secret(Secret::new(plain))),
        _ => value,
    }
}

fn number(length: Duration) -> Tree {
    Tree::Number(length.number())
}

fn entries<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    Tree::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
