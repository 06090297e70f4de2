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
    "match",
    "match_related",
    "after",
    "expect",
    "for_each",
    "posture",
    "threshold",
    "within",
    "metric",
    "triggers",
    "require",
];
const KINDS: [&str; 4] = ["event", "metric", "compound", "sequence"];

/// Reads one outer trigger.
#[derive(Default)]
pub struct Reader {
    /// What is wrong, with paths below the trigger.
    pub problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn problem(&mut self, path: Path, message: impl Into<String>) {
        self.problems.push(Problem::new("E0191", path, message));
    }

    pub(super) fn helped(&mut self, path: Path, message: impl Into<String>, help: impl Into<String>) {
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
            self.helped(
                path.clone(),
                format!("`{path}` is text, not {}", lax::type_name(value)),
                "put quotes around it",
            );
        }
        value.clone()
    }

    /// `enabled`, true by default.
    pub fn enabled(&mut self, map: &Map) -> Tree {
        match map.get("enabled") {
            None => Tree::Bool(true),
            Some(value) => {
                self.scalar(value, Path::of("enabled"), "true or false", |plain| lax::boolean(plain).map(Tree::Bool))
            }
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
            Some(value @ Tree::Secret(secret)) if secret.reveal().is_object() || secret.reveal().is_null() => {
                value.clone()
            }
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

    /// `match` and `match_related`.
    pub(super) fn resources(&mut self, map: &Map, path: &Path) -> [Tree; 2] {
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
                        let message =
                            format!("the label `{label}` is text or a list of texts, not {}", lax::type_name(wanted));
                        self.helped(path.key(label), message, "put quotes around the value");
                    }
                }
            }
            Tree::Unknown(_) => {}
            other => {
                self.problem(path.clone(), format!("`{path}` is a mapping of labels, not {}", lax::type_name(other)))
            }
        }
        value.clone()
    }

    /// A list of texts without order; what stands twice counts once.
    pub(super) fn set(&mut self, map: &Map, path: &Path, key: &str) -> Tree {
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

    pub(super) fn optional_duration(&mut self, map: &Map, path: &Path) -> Tree {
        match map.get("within") {
            None | Some(Tree::Null) => Tree::Null,
            Some(_) => {
                let within = self.duration(map, path, "within", Duration::ZERO);
                self.shown(map, "within", within)
            }
        }
    }

    /// A length of time; `None` when it is unknown or wrong.
    pub(super) fn duration(&mut self, map: &Map, path: &Path, key: &str, default: Duration) -> Option<Duration> {
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
    pub(super) fn shown(&self, map: &Map, key: &str, length: Option<Duration>) -> Tree {
        match (length, map.get(key)) {
            (Some(length), _) => number(length),
            (None, Some(unknown @ Tree::Unknown(_))) => unknown.clone(),
            (None, _) => Tree::Null,
        }
    }

    pub(super) fn scalar(
        &mut self,
        value: &Tree,
        path: Path,
        what: &str,
        read: impl Fn(&Tree) -> Option<Tree>,
    ) -> Tree {
        let plain = lax::revealed(value);
        match read(&plain) {
            Some(read) => seal_like(value, read),
            None if matches!(plain, Tree::Unknown(_)) => plain,
            None => {
                let shown =
                    plain.as_str().map_or_else(|| lax::type_name(&plain).to_owned(), |text| format!("`{text}`"));
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

pub(super) fn number(length: Duration) -> Tree {
    Tree::Number(length.number())
}

pub(super) fn entries<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    Tree::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
