//! `Layers`: the places settings come from, highest first, and the value a setting has in the first that has it.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use super::dotenv::{self, Entry};
use super::error::SettingsError;
use super::inputs::{FileText, Inputs, Profiles};
use super::names::{self, Name};

/// A place settings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One of our flags, such as `--api-url`.
    Flag(&'static str),
    /// The `api:` mapping of `reconcile.yaml`.
    Declared,
    /// The environment.
    Environment,
    /// A file of the repository: `.env`, `prefect.toml`, `pyproject.toml`.
    File(String),
    /// A profile of `profiles.toml`.
    Profile(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(_) => f.write_str("the command line"),
            Source::Declared => f.write_str("`reconcile.yaml`"),
            Source::Environment => f.write_str("the environment"),
            Source::File(name) => write!(f, "`{name}`"),
            Source::Profile(name) => write!(f, "the profile `{name}`"),
        }
    }
}

/// The value of a setting and where it was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The value.
    pub value: Value,
    /// The place.
    pub source: Source,
    /// What it is called there: `PREFECT_API_URL`, `api.url`, `--api-url`.
    pub called: String,
    /// Whether the repository decided it: then it must not steer where others' credentials go.
    pub steered_by_tree: bool,
    /// Whether the value itself is the repository's own, with nothing from elsewhere in it.
    pub own_of_tree: bool,
}

impl Found {
    /// "`PREFECT_API_URL` in the environment".
    pub fn described(&self) -> String {
        match &self.source {
            Source::Flag(flag) => format!("`{flag}`"),
            Source::Declared | Source::Environment | Source::File(_) | Source::Profile(_) => {
                format!("`{}` in {}", self.called, self.source)
            }
        }
    }

    /// The complaint that the value is wrong.
    pub fn bad(&self, problem: impl Into<String>, help: impl Into<String>) -> SettingsError {
        SettingsError::BadValue { setting: self.described(), problem: problem.into(), help: help.into() }
    }
}

enum Content {
    /// By upper-case name.
    Vars(BTreeMap<String, Entry>),
    /// Below Prefect's own table.
    Toml(Table),
    /// By name.
    Profile(Table),
}

struct Layer {
    source: Source,
    content: Content,
    steered_by_tree: bool,
    own_of_tree: bool,
}

/// All places, highest first; flags are not among them.
pub(super) struct Layers {
    layers: Vec<Layer>,
    /// The profile in force.
    pub profile: Option<String>,
    /// A complaint about the choice of the profile that stops nothing.
    pub warning: Option<String>,
}

impl Layers {
    /// Reads the texts of all places.
    pub fn read(inputs: &Inputs) -> Result<Layers, SettingsError> {
        let mut layers = Layers::without_profile(inputs)?;
        layers.add_profile(inputs)?;
        Ok(layers)
    }

    /// The same without the profile, whose file is not known before the others are read.
    pub fn without_profile(inputs: &Inputs) -> Result<Layers, SettingsError> {
        let env = inputs
            .env
            .iter()
            .map(|(name, value)| (name.to_uppercase(), Entry { value: value.clone(), taken: Vec::new() }));
        let mut layers = vec![Layer {
            source: Source::Environment,
            content: Content::Vars(env.collect()),
            steered_by_tree: false,
            own_of_tree: false,
        }];
        if let Some(file) = &inputs.dotenv {
            let entries = dotenv::parse(&file.text, &inputs.env);
            let entries = entries.into_iter().map(|(name, entry)| (name.to_uppercase(), entry)).collect();
            layers.push(Layer::of_tree(file, Content::Vars(entries)));
        }
        if let Some(file) = &inputs.prefect_toml {
            layers.push(Layer::of_tree(file, Content::Toml(grouped(file, table(file)?)?)));
        }
        if let Some(file) = &inputs.pyproject {
            let settings = below(table(file)?, &["tool", "prefect"]);
            layers.push(Layer::of_tree(file, Content::Toml(grouped(file, settings)?)));
        }
        Ok(Layers { layers, profile: None, warning: None })
    }

    fn add_profile(&mut self, inputs: &Inputs) -> Result<(), SettingsError> {
        let mut content = match &inputs.profiles {
            Some(profiles) => table(&profiles.file)?,
            None => built_in(),
        };
        let active = content.get("active").and_then(Value::as_str).map(str::to_owned);
        let mut profiles = match content.remove("profiles") {
            Some(Value::Table(profiles)) => profiles,
            _ => Table::new(),
        };
        let Some((name, chosen_by)) = chosen_profile(inputs, active) else { return Ok(()) };
        match profiles.remove(&name) {
            Some(Value::Table(settings)) => {
                self.layers.push(Layer {
                    source: Source::Profile(name.clone()),
                    content: Content::Profile(settings),
                    steered_by_tree: inputs.profiles.as_ref().is_some_and(|profiles| profiles.chosen_by_tree),
                    own_of_tree: false,
                });
                self.profile = Some(name);
            }
            _ => match chosen_by {
                Some(by) => return Err(unknown_profile(name, by, &profiles, inputs.profiles.as_ref())),
                None => self.warning = Some(format!("the active profile `{name}` does not exist, so none is used")),
            },
        }
        Ok(())
    }

    /// The value in the first place that has it.
    pub fn get(&self, name: Name) -> Option<Found> {
        self.layers.iter().find_map(|layer| layer.get(name))
    }

    /// Every setting of every place as a variable, highest place first.
    pub fn everything(&self) -> Vec<(String, String)> {
        let of = |layer: &Layer| match &layer.content {
            Content::Vars(vars) => vars.iter().map(|(name, entry)| (name.clone(), entry.value.clone())).collect(),
            Content::Toml(table) => super::worker::variables(table),
            Content::Profile(table) => {
                table.iter().map(|(name, value)| (name.clone(), super::worker::spelt(value))).collect()
            }
        };
        self.layers.iter().flat_map(|layer: &Layer| -> Vec<(String, String)> { of(layer) }).collect()
    }

    /// The variables of the environment and of `.env` that satisfy `test`, as (name, place).
    pub fn vars(&self, test: impl Fn(&str, &str) -> bool) -> Vec<(String, Source)> {
        let mut found = Vec::new();
        for layer in &self.layers {
            if let Content::Vars(vars) = &layer.content {
                let fitting = vars.iter().filter(|(name, entry)| test(name, &entry.value));
                found.extend(fitting.map(|(name, _)| (name.clone(), layer.source.clone())));
            }
        }
        found
    }
}

impl Layer {
    fn of_tree(file: &FileText, content: Content) -> Layer {
        Layer { source: Source::File(file.name.clone()), content, steered_by_tree: true, own_of_tree: !file.outside }
    }

    fn get(&self, name: Name) -> Option<Found> {
        let (value, called, own) = match &self.content {
            Content::Vars(vars) => name.vars.iter().find_map(|var| {
                let entry = vars.get(*var)?;
                Some((Value::String(entry.value.clone()), (*var).to_owned(), entry.taken.is_empty()))
            })?,
            Content::Toml(table) => {
                let (last, tables) = name.toml.split_last().expect("every setting has a place");
                let value = below_ref(table, tables)?.get(*last)?;
                // A mapping in place of a value is Prefect's table of other settings.
                if value.is_table() && name != names::HEADERS {
                    return None;
                }
                (value.clone(), name.toml.join("."), true)
            }
            Content::Profile(table) => {
                name.vars.iter().find_map(|var| Some((table.get(*var)?.clone(), (*var).to_owned(), true)))?
            }
        };
        Some(Found {
            value,
            source: self.source.clone(),
            called,
            steered_by_tree: self.steered_by_tree,
            own_of_tree: self.own_of_tree && own,
        })
    }
}

/// The profile's name, and who chose it unless the file itself did.
fn chosen_profile(inputs: &Inputs, active: Option<String>) -> Option<(String, Option<&'static str>)> {
    let by_env = inputs.env.get("PREFECT_PROFILE").filter(|name| !name.is_empty());
    let flags = &inputs.flags;
    let chosen = [
        (flags.profile.as_ref(), "`--profile`"),
        (flags.declared.profile.as_ref(), "`reconcile.yaml`"),
        (by_env, "`PREFECT_PROFILE` in the environment"),
    ];
    chosen
        .into_iter()
        .find_map(|(name, by)| Some((name?.clone(), Some(by))))
        .or_else(|| active.map(|name| (name, None)))
}

fn unknown_profile(profile: String, by: &str, known: &Table, file: Option<&Profiles>) -> SettingsError {
    let names = known.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let help = match file {
        Some(profiles) => format!("the profiles of `{}` are {names}", profiles.file.name),
        None => "there is no `profiles.toml`; `prefect profile create` makes one".to_owned(),
    };
    SettingsError::UnknownProfile { profile, by: by.to_owned(), help }
}

/// The profiles there are without a file (Prefect 3.8.8 settings/profiles.toml).
fn built_in() -> Table {
    let mut local = Table::new();
    local.insert("PREFECT_API_URL".to_owned(), Value::String("http://127.0.0.1:4200/api".to_owned()));
    let mut profiles = Table::new();
    profiles.insert("local".to_owned(), Value::Table(local));
    for name in ["ephemeral", "test", "cloud"] {
        profiles.insert(name.to_owned(), Value::Table(Table::new()));
    }
    Table::from_iter([
        ("active".to_owned(), Value::String("ephemeral".to_owned())),
        ("profiles".to_owned(), Value::Table(profiles)),
    ])
}

/// Parses a TOML file. The complaint names the line but never quotes it: it may hold a key.
fn table(file: &FileText) -> Result<Table, SettingsError> {
    file.text.parse::<Table>().map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(file.text.len()));
        let line = 1 + file.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        SettingsError::BadFile { file: file.name.clone(), problem: format!("is not valid TOML in line {line}") }
    })
}

/// The groups of settings have to be tables.
fn grouped(file: &FileText, table: Table) -> Result<Table, SettingsError> {
    match ["api", "client", "cloud", "deployments"].into_iter().find(|g| table.get(*g).is_some_and(|v| !v.is_table())) {
        Some(group) => {
            let problem = format!("has something else than a table of settings under `{group}`");
            Err(SettingsError::BadFile { file: file.name.clone(), problem })
        }
        None => Ok(table),
    }
}

fn below(mut table: Table, keys: &[&str]) -> Table {
    for key in keys {
        table = match table.remove(*key) {
            Some(Value::Table(inner)) => inner,
            _ => Table::new(),
        };
    }
    table
}

fn below_ref<'a>(mut table: &'a Table, keys: &[&str]) -> Option<&'a Table> {
    for key in keys {
        table = table.get(*key)?.as_table()?;
    }
    Some(table)
}
