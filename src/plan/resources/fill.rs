//! Values from the environment and from files of secrets, wherever an item names them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifest::resources::Item;
use crate::manifest::{json_mode, yaml};
use crate::model::tree::Unknown;
use crate::model::{Map, Path, RepoPath, Secret, Tree};
use crate::render::{Placeholder, PlaceholderKind, placeholders};

use super::Filler;

/// A value in a file of secrets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretFile {
    /// The path as written: absolute, or relative to the directory of the file that names it.
    pub path: String,
    /// The directory of the file that names it.
    pub dir: RepoPath,
    /// Whether it is encrypted with SOPS.
    pub sops: bool,
}

/// How the text of a secret is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Format {
    /// As text; a newline at its end is not part of it.
    #[default]
    Text,
    /// As JSON.
    Json,
}

fn format(map: &Map) -> Format {
    match map.get("format").and_then(Tree::as_str) {
        Some("json") => Format::Json,
        Some(_) | None => Format::Text,
    }
}

fn secret_file(map: &Map, dir: &RepoPath) -> Option<SecretFile> {
    let path = map.get("from_file")?.as_str()?.to_owned();
    let sops = matches!(map.get("sops"), Some(Tree::Bool(true)));
    Some(SecretFile { path, dir: dir.clone(), sops })
}

/// The files of secrets that an item names.
pub fn secret_files(item: &Item, out: &mut BTreeSet<SecretFile>) {
    fn search(item: &Item, at: &Path, tree: &Tree, out: &mut BTreeSet<SecretFile>) {
        match tree {
            Tree::Map(map) => match secret_file(map, &item.origin_of(at).file.parent()) {
                Some(file) => {
                    out.insert(file);
                }
                None => map.iter().for_each(|(key, value)| search(item, &at.key(key), value, out)),
            },
            Tree::List(items) => items.iter().enumerate().for_each(|(n, one)| search(item, &at.item(n), one, out)),
            Tree::Null
            | Tree::Bool(_)
            | Tree::Number(_)
            | Tree::Text(_)
            | Tree::Secret(_)
            | Tree::IdOf(_)
            | Tree::Unknown(_) => {}
        }
    }
    item.fields.iter().for_each(|(field, value)| search(item, &Path::of(field), value, out));
}

/// The value at a path of a file that holds YAML or JSON.
fn within(text: &Secret, key: &str) -> Result<Secret, String> {
    let name = RepoPath::new("secret");
    let document = yaml::read(&name, text.reveal_str().unwrap_or_default().as_bytes());
    let document = document.map_err(|_| "holds neither YAML nor JSON".to_owned())?;
    let mut node = &document.root;
    for part in key.split('.') {
        let item = part.parse::<usize>().ok().and_then(|n| node.items().get(n));
        node = node.get(part).or(item).ok_or_else(|| format!("has nothing at `{key}`"))?;
    }
    let value = json_mode::tree(&name, node).ok().and_then(|tree| tree.revealed(&|_| None));
    value.map(Secret::new).ok_or_else(|| format!("holds at `{key}` what JSON cannot say"))
}

impl Filler<'_> {
    /// A value with the environment and the secrets that it names.
    pub(super) fn filled(&mut self, at: &Path, tree: &Tree) -> Tree {
        if self.facts.symbolic {
            return tree.clone();
        }
        match tree {
            Tree::Text(text) => self.text(at, text),
            Tree::List(items) => {
                Tree::List(items.iter().enumerate().map(|(n, item)| self.filled(&at.item(n), item)).collect())
            }
            Tree::Map(map) if map.contains_key("from_env") => self.of_env(at, map),
            Tree::Map(map) if map.contains_key("from_file") => self.of_file(at, map),
            Tree::Map(map) => {
                Tree::Map(map.iter().map(|(key, value)| (key.clone(), self.filled(&at.key(key), value))).collect())
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Secret(_) | Tree::IdOf(_) | Tree::Unknown(_) => {
                tree.clone()
            }
        }
    }

    fn of_env(&mut self, at: &Path, map: &Map) -> Tree {
        let name = map.get("from_env").and_then(Tree::as_str).unwrap_or_default();
        let Some(value) = self.facts.env.get(name).cloned() else { return self.unset(at, name) };
        self.read_as(format(map), at, value, &format!("the environment variable `{name}`"))
    }

    /// The value as it is, or what its JSON says.
    fn read_as(&mut self, format: Format, at: &Path, value: Tree, what: &str) -> Tree {
        if format == Format::Text {
            return value;
        }
        let text = value.revealed(&|_| None).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        match serde_json::from_str::<Value>(&text) {
            Ok(parsed) => Tree::Secret(Secret::new(parsed)),
            Err(error) => {
                let place = format!("line {}, column {}", error.line(), error.column());
                let message = format!("{what} does not hold JSON: it fails at {place}");
                self.error("E0752", at, message, "correct its value, or leave out `format: json`");
                Tree::Null
            }
        }
    }

    fn of_file(&mut self, at: &Path, map: &Map) -> Tree {
        let Some(file) = secret_file(map, &self.place(at).file.parent()) else { return Tree::Null };
        match self.facts.secrets.get(&file) {
            Some(Ok(secret)) => {
                let what = format!("the file `{}`", file.path);
                let secret = match map.get("key").and_then(Tree::as_str) {
                    None => Tree::Secret(secret.clone()),
                    Some(key) => match within(secret, key) {
                        Ok(value) => Tree::Secret(value),
                        Err(why) => {
                            let help =
                                "`key` leads into a file that holds YAML or JSON, by keys with dots between them";
                            self.error("E0772", &at.key("key"), format!("{what} {why}"), help);
                            return Tree::Null;
                        }
                    },
                };
                self.read_as(format(map), at, secret, &what)
            }
            Some(Err(_)) if self.facts.open => Tree::Unknown(Unknown::AtApply),
            Some(Err(why)) => {
                let message = format!("the secret in `{}` cannot be read: {why}", file.path);
                let help = match why.contains("crypt") || why.contains("age ") || why.contains("sops") {
                    true => {
                        "SOPS_AGE_KEY_FILE names the file with your age keys; `sops` finds its own; see `reconcile explain E0753`"
                    }
                    false => "secrets are read from the repository and from `secret_dirs:`",
                };
                self.error("E0753", at, message, help);
                Tree::Null
            }
            None => Tree::Unknown(Unknown::AtApply),
        }
    }

    fn unset(&mut self, at: &Path, name: &str) -> Tree {
        if self.facts.open {
            return Tree::Unknown(Unknown::AtApply);
        }
        let message = format!("the environment variable `{name}` is not set");
        self.error("E0751", at, message, "set it where reconcile runs; an empty value has to be set as well");
        Tree::Null
    }

    /// Warns of a placeholder that deployments may have, and that nobody fills in here. Other words between braces may
    /// well be templates that a block's own class fills.
    fn unfilled(&mut self, at: &Path, found: &Placeholder, text: &str) {
        // The worker fills them in there, and an example shows what somebody would write.
        if ["base_job_template", "storage_configuration", "code_example"]
            .map(Path::of)
            .iter()
            .any(|own| at.starts_with(own))
        {
            return;
        }
        let help = match found.kind {
            PlaceholderKind::Block => {
                "`{ block: type/name }` at the top of a block's `data` refers to a block; a value of it is taken with \
                 `{ from_env: NAME }` or `{ from_file: path }`"
            }
            PlaceholderKind::Variable => {
                "write the value, or `{{ vars.x }}` of reconcile.yaml for one that several files need"
            }
            PlaceholderKind::Output if found.name.starts_with("vars.") => {
                "declare it below `vars:` of reconcile.yaml, or of the environment; without any `vars` none is filled in"
            }
            PlaceholderKind::Output | PlaceholderKind::Env => return,
        };
        let message = format!("`{}` in `{at}` is stored as it stands: nobody fills it in", found.text(text));
        self.warn("W0774", at, message, help);
    }

    /// A text with `{{ $NAME }}` filled in. Other placeholders are somebody else's.
    fn text(&mut self, at: &Path, text: &str) -> Tree {
        let (found, others): (Vec<_>, Vec<_>) =
            placeholders(text).into_iter().partition(|found| found.kind == PlaceholderKind::Env);
        others.iter().for_each(|other| self.unfilled(at, other, text));
        let (mut out, mut end, mut is_secret) = (String::new(), 0, false);
        for one in &found {
            let name = one.name.trim_start_matches('$');
            let Some(value) = self.facts.env.get(name) else { return self.unset(at, name) };
            if one.whole {
                return value.clone();
            }
            is_secret |= value.has_secret();
            out.push_str(&text[end..one.range.start]);
            out.push_str(value.revealed(&|_| None).as_ref().and_then(Value::as_str).unwrap_or_default());
            end = one.range.end;
        }
        out.push_str(&text[end..]);
        if is_secret { Tree::Secret(Secret::text(out)) } else { Tree::Text(out) }
    }
}
