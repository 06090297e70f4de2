//! `Wanted`: what the job configuration of a run asks of an engine, checked. Pure.
//!
//! prefect-docker 0.7.4 `worker.py` (`DockerWorkerJobConfiguration`, `_build_container_settings`) and `types.py`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value, json};

use super::create::{Body, Split, body};
use super::names;
use crate::manifest::lax;
use crate::model::{JobSpec, Secret, Tree};
use crate::render::job_template::Configuration;

/// The version of Prefect that we stand in for: labels tell it, and the image that is used where none is named.
pub(super) const VERSION: &str = "3.8.8";
/// The image that is used where none is named.
const IMAGE: &str = "prefecthq/prefect:3.8.8-python3.12";
/// What runs in a container where no command is configured.
const COMMAND: [&str; 3] = ["prefect", "flow-run", "execute"];
/// Where containers find the machine that runs them.
const HOST: &str = "host.docker.internal";
const API_URL: &str = "PREFECT_API_URL";

/// Keys of the job configuration; as arguments in `container_create_kwargs` they count for nothing.
const FIELDS: [&str; 16] = [
    "command",
    "env",
    "labels",
    "name",
    "image",
    "registry_credentials",
    "image_pull_policy",
    "networks",
    "network_mode",
    "auto_remove",
    "volumes",
    "stream_output",
    "mem_limit",
    "memswap_limit",
    "privileged",
    "container_create_kwargs",
];

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// If the engine does not have it.
    IfNotPresent,
    /// Each time.
    Always,
    /// Each time, but one that the engine has will do.
    IfPossible,
    /// Not at all.
    Never,
}

/// Who may pull from a registry.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub user: String,
    pub password: Secret,
    pub registry: String,
}

/// What a run asks of an engine.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub image: String,
    pub policy: Policy,
    pub credentials: Option<Credentials>,
    /// The first one is there from the start, others are connected afterwards.
    pub networks: Vec<String>,
    /// What the container is to be called; without it the engine finds a name.
    pub name: Option<String>,
    /// Whether what it prints is shown.
    pub streams: bool,
    /// Whether the container has to find the API on this machine.
    pub needs_host: bool,
    /// What is to be told to people.
    pub warning: Option<&'static str>,
    /// Arguments for docker-py's `containers.create`, but for the hosts that are added; they hold the environment.
    arguments: Map<String, Value>,
    hosts: Option<Value>,
}

impl Wanted {
    /// Reads the configuration of a job. `settings` are the worker's own, `cwd` is what relative paths start from.
    ///
    /// # Errors
    /// One sentence about the first field that cannot be used.
    pub fn of(job: &JobSpec, settings: &BTreeMap<String, Secret>, cwd: &Path) -> Result<Wanted, String> {
        let fields = Fields(&job.config);
        let image = fields.text("image")?.filter(|image| !image.is_empty()).unwrap_or_else(|| IMAGE.to_owned());
        let networks = fields.texts("networks")?;
        for (key, name) in [("image", &image)].into_iter().chain(networks.iter().map(|name| ("networks", name))) {
            if !is_plain(name) {
                return Err(format!("`{key}`: `{name}` is no name that an engine takes"));
            }
        }
        let volumes = fields.texts("volumes")?;
        let volumes: Vec<String> = volumes.iter().map(|volume| volume_of(volume, cwd)).collect::<Result<_, _>>()?;
        let mut given = match fields.value("container_create_kwargs") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(given)) => given,
            Some(_) => return Err("`container_create_kwargs` is no mapping".to_owned()),
        };
        let warning = given.contains_key("volumes").then_some(
            "`volumes` in `container_create_kwargs` count for nothing: name them in the job variable `volumes`",
        );
        given.retain(|key, _| !FIELDS.contains(&key.as_str()));
        if let Some(twice) = ["network", "environment"].iter().find(|key| given.contains_key(**key)) {
            return Err(format!("`container_create_kwargs` holds `{twice}`, which the worker sets itself"));
        }
        let hosts = given.remove("extra_hosts");
        let url = job.env.get(API_URL);
        let mode = fields.text("network_mode")?;
        let mode = network_mode(mode.as_deref(), !networks.is_empty(), url.or_else(|| settings.get(API_URL)));
        let env = job.env.iter().map(|(name, value)| (name.clone(), value.reveal().clone())).collect();
        let command = job.command.clone().unwrap_or_else(|| COMMAND.map(str::to_owned).to_vec());
        let mut arguments = Map::from_iter([
            ("image".to_owned(), json!(image)),
            ("network".to_owned(), json!(networks.first())),
            ("network_mode".to_owned(), json!(mode)),
            ("command".to_owned(), json!(command)),
            ("environment".to_owned(), Value::Object(env)),
            ("auto_remove".to_owned(), json!(fields.flag("auto_remove", false)?)),
            ("labels".to_owned(), json!(names::of_labels(&job.labels, VERSION))),
            ("volumes".to_owned(), json!(volumes)),
            ("mem_limit".to_owned(), json!(fields.text("mem_limit")?)),
            ("memswap_limit".to_owned(), json!(fields.text("memswap_limit")?)),
            ("privileged".to_owned(), json!(fields.flag("privileged", false)?)),
        ]);
        arguments.extend(given);
        Ok(Wanted {
            policy: policy(fields.text("image_pull_policy")?.as_deref(), &image)?,
            image,
            credentials: credentials(&fields)?,
            networks,
            name: names::of_container(&job.name),
            streams: fields.flag("stream_output", true)?,
            needs_host: cfg!(target_os = "linux") && url.is_none_or(is_local),
            warning,
            arguments,
            hosts,
        })
    }

    /// What the container is made from. `gateway`: the engine knows how containers find its machine.
    ///
    /// # Errors
    /// One sentence about the first argument that cannot be used.
    pub fn body(&self, gateway: bool, split: Split) -> Result<Body, String> {
        let mut arguments = self.arguments.clone();
        let own = match (self.needs_host, gateway) {
            (true, true) => Map::from_iter([(HOST.to_owned(), json!("host-gateway"))]),
            (true, false) | (false, _) => Map::new(),
        };
        let hosts = match (own.is_empty(), self.hosts.clone()) {
            (true, given) if self.needs_host => given.or_else(|| Some(json!({}))),
            (true, given) => given,
            (false, given) => Some(with_hosts(own, given)),
        };
        arguments.insert("extra_hosts".to_owned(), hosts.unwrap_or(Value::Null));
        body(arguments, split)
    }
}

/// Whether a name can stand in an address: those of images and networks hold nothing else.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '+');
    !name.is_empty() && name.chars().all(plain) && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// Hosts with those that were given laid over them.
fn with_hosts(mut hosts: Map<String, Value>, given: Option<Value>) -> Value {
    match given {
        Some(Value::Array(lines)) => {
            let pairs = lines.iter().filter_map(|line| line.as_str()?.split_once(':'));
            hosts.extend(pairs.map(|(host, ip)| (host.to_owned(), json!(ip))));
        }
        Some(Value::Object(map)) => hosts.extend(map),
        Some(_) | None => {}
    }
    Value::Object(hosts)
}

/// The worker's settings as runs in containers get them: what is `localhost` here is another machine there.
pub(super) fn settings_for(
    configuration: &Configuration,
    settings: &BTreeMap<String, Secret>,
) -> BTreeMap<String, Secret> {
    let mut found = settings.clone();
    let configured = match configuration.env.get(API_URL) {
        Some(Tree::Secret(secret)) => Some(secret.clone()),
        Some(Tree::Null) => None,
        Some(value) => value.as_str().map(Secret::text),
        None => settings.get(API_URL).cloned(),
    };
    let fields = Fields(&configuration.rest);
    let mode = fields.text("network_mode").unwrap_or_default();
    let networks = fields.texts("networks").is_ok_and(|networks| !networks.is_empty());
    if network_mode(mode.as_deref(), networks, configured.as_ref()).as_deref() != Some("host")
        && let Some(url) = found.get(API_URL).and_then(|url| url.reveal_str())
    {
        let url = url.replace("localhost", HOST).replace("127.0.0.1", HOST);
        found.insert(API_URL.to_owned(), Secret::text(url));
    }
    found
}

/// What is configured; else the host's own network, if the API is on this machine and no network is asked for.
fn network_mode(mode: Option<&str>, has_networks: bool, url: Option<&Secret>) -> Option<String> {
    if let Some(mode) = mode.filter(|mode| !mode.is_empty()) {
        return Some(mode.to_owned());
    }
    let (_, rest) = url?.reveal_str()?.split_once("//")?;
    let host = rest.split(['/', '?', '#']).next()?.split(':').next()?;
    let here = cfg!(target_os = "linux") && matches!(host, "127.0.0.1" | "localhost");
    (here && !has_networks).then(|| "host".to_owned())
}

fn is_local(url: &Secret) -> bool {
    url.reveal_str().is_some_and(|url| ["localhost", "127.0.0.1", HOST].iter().any(|host| url.contains(host)))
}

/// The policy that is configured; else as Kubernetes has it: the tag `latest`, or none, is pulled each time.
fn policy(configured: Option<&str>, image: &str) -> Result<Policy, String> {
    match configured {
        Some("IfNotPresent") => Ok(Policy::IfNotPresent),
        Some("Always") => Ok(Policy::Always),
        Some("IfPossible") => Ok(Policy::IfPossible),
        Some("Never") => Ok(Policy::Never),
        Some("") | None if names::tag(image).is_none_or(|tag| tag.is_empty() || tag == "latest") => Ok(Policy::Always),
        Some("") | None => Ok(Policy::IfNotPresent),
        Some(other) => {
            Err(format!("`image_pull_policy` is `IfNotPresent`, `Always`, `IfPossible` or `Never`, and not `{other}`"))
        }
    }
}

fn credentials(fields: &Fields<BTreeMap<String, Tree>>) -> Result<Option<Credentials>, String> {
    let Some(given) = fields.value("registry_credentials").filter(|given| !given.is_null()) else { return Ok(None) };
    let text = |key: &str| {
        let found = given.get(key).and_then(Value::as_str);
        found.map(str::to_owned).ok_or_else(|| format!("`registry_credentials` have no `{key}`"))
    };
    Ok(Some(Credentials {
        user: text("username")?,
        password: Secret::text(text("password")?),
        registry: text("registry_url")?,
    }))
}

/// A volume as an engine takes it, with a relative path made absolute.
fn volume_of(volume: &str, cwd: &Path) -> Result<String, String> {
    let volume = volume.trim();
    let wrong = |why: &str| Err(format!("`volumes`: `{volume}` {why}"));
    if volume.starts_with('/') && !volume.contains(':') && volume.len() > 1 {
        return Ok(volume.to_owned());
    }
    // `C:\` is a path of Windows, whose engines take it.
    let drive = volume.len() > 2 && volume.as_bytes()[0].is_ascii_alphabetic() && volume[1..].starts_with(":\\");
    let from = if drive { 2 } else { 0 };
    let Some(at) = volume[from..].find(':').map(|at| at + from) else {
        return wrong("is neither `/in/container` nor `source:/in/container[:ro|rw]`");
    };
    let (source, rest) = (&volume[..at], &volume[at + 1..]);
    let (target, options) = rest.split_once(':').map_or((rest, None), |(target, options)| (target, Some(options)));
    if source.is_empty() || target.is_empty() {
        return wrong("is neither `/in/container` nor `source:/in/container[:ro|rw]`");
    }
    let relative =
        matches!(source, "." | "..") || ["./", "../", ".\\", "..\\"].iter().any(|dot| source.starts_with(dot));
    if source.starts_with('/') || drive || source.starts_with("\\\\") || relative {
        if !target.starts_with('/') {
            return wrong("has no absolute path in the container");
        }
    } else if !is_volume_name(source) {
        return wrong("names no volume: a path on the host is absolute, or begins with `./`");
    }
    if options.is_some_and(|options| !matches!(options, "ro" | "rw")) {
        return wrong("ends with another option than `ro` or `rw`");
    }
    Ok(if relative { format!("{}:{rest}", absolute(source, cwd).display()) } else { volume.to_owned() })
}

fn is_volume_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// A path without `.` and `..`, starting from a directory.
fn absolute(path: &str, cwd: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in cwd.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(found.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => found.push(part),
        }
    }
    found
}

/// The fields of a configuration, read as pydantic reads them.
struct Fields<'a, M>(&'a M);

/// Both kinds of mappings that configurations come in.
trait Lookup {
    fn find(&self, key: &str) -> Option<&Tree>;
}

impl Lookup for BTreeMap<String, Tree> {
    fn find(&self, key: &str) -> Option<&Tree> {
        self.get(key)
    }
}

impl Lookup for crate::model::Map {
    fn find(&self, key: &str) -> Option<&Tree> {
        self.get(key)
    }
}

impl<M: Lookup> Fields<'_, M> {
    /// The field as JSON, with what is secret in it.
    fn value(&self, key: &str) -> Option<Value> {
        self.0.find(key)?.revealed(&|_| None)
    }

    fn text(&self, key: &str) -> Result<Option<String>, String> {
        match self.value(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{key}` is no text")),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        let wrong = || format!("`{key}` is no list of texts");
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(wrong)?;
        items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    fn flag(&self, key: &str, usual: bool) -> Result<bool, String> {
        let Some(value) = self.value(key) else { return Ok(usual) };
        lax::boolean(&Tree::from(value)).ok_or_else(|| format!("`{key}` is neither true nor false"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:4200/api";

    fn job(config: Value, url: Option<&str>) -> JobSpec {
        let config = config.as_object().cloned().unwrap_or_default();
        JobSpec {
            run: "r".to_owned(),
            attempt: "a".to_owned(),
            name: "odd owl".to_owned(),
            command: None,
            env: url.map(|url| (API_URL.to_owned(), Secret::text(url))).into_iter().collect(),
            labels: BTreeMap::from([("prefect.io/flow-run-id".to_owned(), "r".to_owned())]),
            ready: None,
            config: config.into_iter().map(|(key, value)| (key, Tree::from(value))).collect(),
        }
    }

    fn wanted(config: Value, url: Option<&str>) -> Result<Wanted, String> {
        Wanted::of(&job(config, url), &BTreeMap::new(), Path::new("/srv/work"))
    }

    fn made(config: Value, url: Option<&str>) -> Value {
        wanted(config, url).and_then(|wanted| wanted.body(true, |_| Ok(Vec::new()))).expect("good").json
    }

    #[test]
    fn an_empty_configuration_is_enough() {
        let wanted = wanted(json!({}), None).expect("good");
        assert_eq!((wanted.image.as_str(), wanted.policy), (IMAGE, Policy::IfNotPresent));
        assert!(wanted.streams);
        assert_eq!(wanted.name.as_deref(), Some("odd-owl"));
        let body = made(json!({}), None);
        assert_eq!(body["Cmd"], json!(COMMAND));
        assert_eq!(body["Labels"], json!({"io.prefect.flow-run-id": "r", "io.prefect.version": "3.8.8"}));
    }

    #[test]
    fn the_network_follows_from_where_the_api_is() {
        let mode = |config: Value, url: &str| made(config, Some(url))["HostConfig"]["NetworkMode"].clone();
        assert_eq!(mode(json!({}), URL), "host");
        assert_eq!(mode(json!({}), "https://prefect.example/api"), "default");
        assert_eq!(mode(json!({"network_mode": "bridge"}), URL), "bridge");
        assert_eq!(mode(json!({"networks": ["one", "two"]}), URL), "one");
        let hosts = |url: &str| made(json!({}), Some(url))["HostConfig"]["ExtraHosts"].clone();
        assert_eq!(hosts(URL), json!(["host.docker.internal:host-gateway"]));
        assert_eq!(hosts("https://prefect.example/api"), Value::Null);
        let more = json!({"container_create_kwargs": {"extra_hosts": ["db:10.0.0.1"], "image": "no", "volumes": []}});
        let body = made(more.clone(), Some(URL));
        let hosts = json!(["db:10.0.0.1", "host.docker.internal:host-gateway"]);
        assert_eq!((&body["HostConfig"]["ExtraHosts"], &body["Image"]), (&hosts, &json!(IMAGE)));
        assert!(wanted(more, Some(URL)).expect("good").warning.is_some());
    }

    #[test]
    fn settings_name_this_machine_as_containers_see_it() {
        let settings = BTreeMap::from([(API_URL.to_owned(), Secret::text(URL))]);
        let url = |config: Value| {
            let configuration = Configuration::of(&Tree::from(config)).expect("a mapping");
            settings_for(&configuration, &settings)[API_URL].reveal_str().map(str::to_owned)
        };
        assert_eq!(url(json!({})).as_deref(), Some(URL));
        assert_eq!(url(json!({"network_mode": "host"})).as_deref(), Some(URL));
        let there = Some("http://host.docker.internal:4200/api");
        assert_eq!(url(json!({"network_mode": "bridge"})).as_deref(), there);
        assert_eq!(url(json!({"networks": ["one"]})).as_deref(), there);
    }

    #[test]
    fn images_are_pulled_as_their_tags_say() {
        let of = |image: &str, policy: Value| {
            wanted(json!({"image": image, "image_pull_policy": policy}), None).map(|wanted| wanted.policy)
        };
        assert_eq!(of("a", Value::Null), Ok(Policy::Always));
        assert_eq!(of("a:latest", Value::Null), Ok(Policy::Always));
        assert_eq!(of("h:1/a:2", Value::Null), Ok(Policy::IfNotPresent));
        assert_eq!(of("a", json!("Never")), Ok(Policy::Never));
        assert!(of("a", json!("never")).expect_err("no policy").contains("`never`"));
    }

    #[test]
    fn volumes_are_checked_and_made_absolute() {
        let of = |volume: &str| volume_of(volume, Path::new("/srv/work"));
        for (volume, made) in [
            ("/data", "/data"),
            ("/a:/b:ro", "/a:/b:ro"),
            ("cache:/b", "cache:/b"),
            ("./x/../y:/b", "/srv/work/y:/b"),
            ("..:/b:rw", "/srv:/b:rw"),
            ("C:\\x:/b", "C:\\x:/b"),
        ] {
            assert_eq!(of(volume), Ok(made.to_owned()), "{volume}");
        }
        for volume in ["", "/", "data", "/a:b", "$(pwd):/b", "a:/b:rx", ":/b", "a:"] {
            assert!(of(volume).is_err(), "{volume}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (config, name) in [
            (json!({"image": 3}), "`image`"),
            (json!({"image": "a/../../containers/json?x"}), "`image`"),
            (json!({"networks": "one"}), "`networks`"),
            (json!({"privileged": "perhaps"}), "`privileged`"),
            (json!({"container_create_kwargs": []}), "`container_create_kwargs`"),
            (json!({"container_create_kwargs": {"environment": {}}}), "`environment`"),
            (json!({"registry_credentials": {"username": "u"}}), "`password`"),
        ] {
            assert!(wanted(config.clone(), None).expect_err("bad").contains(name), "{config}");
        }
    }
}
