//! The settings of a worker, and all settings as the environment variables that its runs get.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::{Table, Value};

use super::error::SettingsError;
use super::inputs::Inputs;
use super::layers::Layers;
use super::{Settings, names, resolve, values};
use crate::model::{Connection, Secret};

/// The settings of a worker. Defaults are those of Prefect 3.8.8 `settings/models/worker.py`.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// How often it asks for runs that are due.
    pub query: Duration,
    /// How often it gives a sign of life.
    pub heartbeat: Duration,
    /// So long before its time a run is taken.
    pub prefetch: Duration,
    /// Whether what it says about runs is stored among their logs.
    pub logs_to_api: bool,
    /// Where the health check listens: address and port.
    pub health: (String, u16),
    /// Every setting that some place sets, as an environment variable.
    pub explicit: BTreeMap<String, Secret>,
}

impl WorkerSettings {
    /// Decides them from the places all settings come from. `api` is what the runs are to talk to.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn resolve(inputs: &Inputs, api: &Connection) -> Result<WorkerSettings, SettingsError> {
        let layers = Layers::read(inputs)?;
        let seconds = |name, default: f64| -> Result<Duration, SettingsError> {
            let mut found = default;
            resolve::set(&layers, name, values::seconds, &mut found)?;
            Ok(Duration::from_secs_f64(found))
        };
        let (mut logs_to_api, mut port, mut host) = (true, 8080, "0.0.0.0".to_owned());
        resolve::set(&layers, names::LOGS_TO_API, values::boolean, &mut logs_to_api)?;
        resolve::set(&layers, names::WORKER_PORT, values::port, &mut port)?;
        resolve::set(&layers, names::WORKER_HOST, values::text, &mut host)?;
        Ok(WorkerSettings {
            query: seconds(names::WORKER_QUERY, 10.0)?,
            heartbeat: seconds(names::WORKER_HEARTBEAT, 30.0)?,
            prefetch: seconds(names::WORKER_PREFETCH, 10.0)?,
            logs_to_api,
            health: (host, port),
            explicit: explicit(&layers, api),
        })
    }
}

impl Settings {
    /// The connection to an API at another address, with everything else as it is set.
    pub fn connection_to(&self, url: String, from: &str) -> Connection {
        Connection { url, from: from.to_owned(), ..self.unaddressed.clone() }
    }
}

fn explicit(layers: &Layers, api: &Connection) -> BTreeMap<String, Secret> {
    let mut found: BTreeMap<String, Secret> = BTreeMap::new();
    // Highest first: what is there already stays.
    for (name, value) in layers.everything() {
        if name.starts_with("PREFECT_") && !name.starts_with("PREFECT__") && name != "PREFECT_PROFILE" {
            found.entry(name).or_insert_with(|| Secret::text(value));
        }
    }
    found.insert("PREFECT_API_URL".to_owned(), Secret::text(api.url.clone()));
    for (name, value) in [("PREFECT_API_KEY", &api.key), ("PREFECT_API_AUTH_STRING", &api.auth)] {
        if let Some(value) = value {
            found.insert(name.to_owned(), value.clone());
        }
    }
    found
}

/// The settings of a table as variables: `worker.query_seconds` is `PREFECT_WORKER_QUERY_SECONDS`.
pub(super) fn variables(table: &Table) -> Vec<(String, String)> {
    let mut found = Vec::new();
    below("PREFECT", table, &mut found);
    found
}

fn below(prefix: &str, table: &Table, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = format!("{prefix}_{}", key.to_uppercase());
        match value {
            Value::Table(table) => below(&name, table, found),
            value => found.push((name, spelt(value))),
        }
    }
}

/// A value as a variable spells it.
pub(super) fn spelt(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Boolean(true) => "True".to_owned(),
        Value::Boolean(false) => "False".to_owned(),
        Value::Array(_) | Value::Table(_) => serde_json::to_string(value).unwrap_or_default(),
        Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::FileText;

    #[test]
    fn settings_of_all_places_become_variables() {
        let file = |text: &str| FileText { name: "prefect.toml".to_owned(), text: text.to_owned(), outside: false };
        let inputs = Inputs {
            env: [("PREFECT_LOGGING_LEVEL", "DEBUG"), ("PREFECT__FLOW_RUN_ID", "x"), ("HOME", "/h")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            prefect_toml: Some(file(
                "[worker]\nquery_seconds = 2\n[logging]\nlevel = 'INFO'\n[api]\nurl = 'http://a/api'",
            )),
            ..Inputs::default()
        };
        let settings = WorkerSettings::resolve(&inputs, &Connection::new("http://b/api")).expect("good settings");
        assert_eq!((settings.query, settings.heartbeat), (Duration::from_secs(2), Duration::from_secs(30)));
        let shown: Vec<(&str, Option<&str>)> =
            settings.explicit.iter().map(|(name, value)| (name.as_str(), value.reveal_str())).collect();
        let expected = [
            ("PREFECT_API_URL", Some("http://b/api")),
            ("PREFECT_LOGGING_LEVEL", Some("DEBUG")),
            ("PREFECT_WORKER_QUERY_SECONDS", Some("2")),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_port_that_is_none_is_told_and_not_replaced() {
        let inputs = |port: &str| Inputs {
            env: [("PREFECT_WORKER_WEBSERVER_PORT".to_owned(), port.to_owned())].into(),
            ..Inputs::default()
        };
        let resolved = |port| WorkerSettings::resolve(&inputs(port), &Connection::new("http://b/api"));
        assert_eq!(resolved("9000").expect("a port").health.1, 9000);
        let error = resolved("70000").expect_err("no port");
        let told = format!("{error}. {}", error.help());
        assert!(told.contains("PREFECT_WORKER_WEBSERVER_PORT") && told.contains("65535"), "{told}");
    }
}
