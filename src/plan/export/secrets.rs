//! Secrets: a file names the variable of the environment that each is taken from; no value is written.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::Secret;

/// What the API answers in the place of a secret that the account may not read.
const MASK: &str = "********";

/// A secret that a file names.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// The variable of the environment.
    pub name: String,
    /// Where in the object it belongs.
    pub path: String,
    /// What the variable has to hold.
    pub value: Secret,
}

impl Hidden {
    /// Whether a dotted path leads to it, or below it.
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// The names of such variables, each given once.
pub struct Names<'a> {
    environment: &'a BTreeMap<String, String>,
    given: BTreeMap<String, String>,
}

impl<'a> Names<'a> {
    /// None given yet. A name that the environment has with another value is not taken.
    pub fn new(environment: &'a BTreeMap<String, String>) -> Self {
        Names { environment, given: BTreeMap::new() }
    }

    fn give(&mut self, words: &str, value: &str) -> String {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name: String = words.chars().map(upper).collect();
        let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("BLOCK_{name}") } else { name };
        let again = (2..).map(|n| format!("{name}_{n}"));
        let is_free = |name: &String| {
            !self.given.contains_key(name) && self.environment.get(name).is_none_or(|known| known == value)
        };
        let name = std::iter::once(name.clone()).chain(again).find(is_free).unwrap_or(name);
        self.given.insert(name.clone(), value.to_owned());
        name
    }
}

/// Takes the secrets at some dotted paths out of a block's data; `.*` at the end of a path is everything below.
///
/// # Errors
/// A secret that the account may not read, or that no environment can hold.
pub fn hide(
    block: &str,
    data: &mut Map<String, Value>,
    paths: &[String],
    names: &mut Names<'_>,
) -> Result<Vec<Hidden>, String> {
    let mut hidden: Vec<Hidden> = Vec::new();
    for path in paths {
        let path = path.strip_suffix(".*").unwrap_or(path);
        if hidden.iter().any(|one| one.covers(path)) {
            continue;
        }
        let mut keys = path.split('.');
        let first = keys.next().unwrap_or_default();
        let place = keys.try_fold(data.get_mut(first), |place, key| Some(place?.as_object_mut()?.get_mut(key)));
        let Some(Some(place)) = place else { continue };
        hidden.extend(hide_one(block, path, place, names)?);
    }
    Ok(hidden)
}

fn hide_one(block: &str, path: &str, place: &mut Value, names: &mut Names<'_>) -> Result<Option<Hidden>, String> {
    if place.is_null() || super::is_empty(place) && !place.is_string() {
        return Ok(None);
    }
    let (text, format) = match place.as_str() {
        Some(text) => (text.to_owned(), None),
        None => (place.to_string(), Some("json")),
    };
    if text.contains(MASK) {
        return Err(format!("the account may not read `{path}`, so nobody can tell what has to be filled in"));
    }
    if text.contains('\0') {
        return Err(format!("`{path}` holds a character that no variable of the environment can hold"));
    }
    let name = names.give(&format!("{}_{path}", block.replace('/', "_")), &text);
    *place = match format {
        Some(format) => json!({ "from_env": name, "format": format }),
        None => json!({ "from_env": name }),
    };
    Ok(Some(Hidden { name, path: path.to_owned(), value: Secret::text(text) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(data: Value, paths: &[&str]) -> (Value, Vec<String>) {
        let environment = BTreeMap::from([("S_X_TAKEN".to_owned(), "other".to_owned())]);
        let mut names = Names::new(&environment);
        let mut data = data.as_object().unwrap().clone();
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let hidden = hide("s/x", &mut data, &paths, &mut names).unwrap();
        (Value::Object(data), hidden.into_iter().map(|one| one.name).collect())
    }

    #[test]
    fn texts_mappings_and_deep_values_are_named() {
        let data =
            json!({"value": "v", "info": {"a": 1}, "auth": {"password": "p", "user": "u"}, "none": null, "taken": "t"});
        let (data, names) = hidden(data, &["value", "info.*", "auth.password", "none", "missing.deep", "taken"]);
        assert_eq!(names, ["S_X_VALUE", "S_X_INFO", "S_X_AUTH_PASSWORD", "S_X_TAKEN_2"]);
        assert_eq!(data["info"], json!({"from_env": "S_X_INFO", "format": "json"}));
        assert_eq!(data["auth"], json!({"password": {"from_env": "S_X_AUTH_PASSWORD"}, "user": "u"}));
        assert_eq!(data["none"], Value::Null);
    }

    #[test]
    fn a_secret_that_looks_like_a_reference_is_one_all_the_same() {
        let data = json!({"a": {"from_env": "p"}, "b": {"block": "x", "password": "p"}, "c": {"x": "p"}});
        let (data, names) = hidden(data, &["a", "b.*", "c", "c.*", "c.x"]);
        assert_eq!(names, ["S_X_A", "S_X_B", "S_X_C"]);
        assert_eq!(data["a"], json!({"from_env": "S_X_A", "format": "json"}));
        assert!(!data.to_string().contains("\"p\""), "{data}");
    }

    #[test]
    fn what_is_withheld_cannot_be_named() {
        let mut data = json!({"value": "********"}).as_object().unwrap().clone();
        let environment = BTreeMap::new();
        let told = hide("s/x", &mut data, &["value".to_owned()], &mut Names::new(&environment));
        assert!(told.unwrap_err().contains("may not read"));
    }
}
