//! Where the engine is: `DOCKER_HOST` and its companions, or a context of Docker's command line.
//!
//! docker-py 7.2 `utils/utils.py` (`parse_host`, `kwargs_from_env`) and `api/client.py`. Contexts count where nothing
//! else says where the engine is, and it is not at its usual place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bollard::{API_DEFAULT_VERSION, Docker as Client};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::infra::InfraError;
use crate::model::secret::hex;

/// Where an engine usually listens.
const SOCKET: &str = "/var/run/docker.sock";
/// So long an engine may take for an answer, in seconds (docker-py's default).
const PATIENCE: u64 = 60;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A socket of this machine.
    Socket(PathBuf),
    /// `name:port`, in the clear.
    Plain(String),
    /// `name:port` over TLS.
    Secure(String),
}

/// An engine, and how handles of its containers begin.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub client: Client,
    /// As Prefect's worker spells it in `infrastructure_pid`.
    pub base: String,
    /// Where it listens, for messages.
    pub place: String,
}

/// The engine that the environment names. Nothing is asked of it yet.
///
/// # Errors
/// If no engine can be there, if its certificates cannot be read, or if its socket is not there yet.
pub(super) fn engine(environment: &BTreeMap<String, String>) -> Result<Engine, InfraError> {
    let told = |why: String| InfraError::Engine(why);
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let tls = set("DOCKER_CERT_PATH").is_some() || set("DOCKER_TLS_VERIFY").is_some();
    let named = set("DOCKER_HOST").map(|host| ("DOCKER_HOST".to_owned(), host));
    let named = match named {
        Some(named) => Some(named),
        None => context(environment, Path::new(SOCKET).exists()).map_err(told)?,
    };
    let host = match &named {
        Some((from, host)) => parse(host, tls).map_err(|why| told(format!("`{from}` is `{host}`: {why}")))?,
        None => Host::Socket(PathBuf::from(SOCKET)),
    };
    let patience = set("DOCKER_CLIENT_TIMEOUT").and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(PATIENCE);
    let certificates = set("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| Some(home(environment)?.join(".docker")));
    let client = match &host {
        Host::Socket(path) if !path.exists() => {
            return Err(InfraError::Away(format!("there is no Docker Engine at `{host}`: the socket does not exist")));
        }
        Host::Socket(path) => Client::connect_with_unix(&path.to_string_lossy(), patience, API_DEFAULT_VERSION),
        Host::Plain(address) => Client::connect_with_http(address, patience, API_DEFAULT_VERSION),
        Host::Secure(address) => {
            let dir = certificates.unwrap_or_default();
            let file = |name: &str| {
                let path = dir.join(name);
                std::fs::File::open(&path).map(|_| path.clone()).map_err(|error| {
                    told(format!("an engine over TLS needs `{}`, which cannot be read: {error}", path.display()))
                })
            };
            let (key, cert, ca) = (file("key.pem")?, file("cert.pem")?, file("ca.pem")?);
            Client::connect_with_ssl(address, &key, &cert, &ca, patience, API_DEFAULT_VERSION)
        }
    };
    let client = client.map_err(|error| told(format!("no client for the engine can be made: {error}")))?;
    Ok(Engine { client, base: host.base(), place: host.to_string() })
}

impl Host {
    /// How docker-py calls it.
    fn base(&self) -> String {
        match self {
            Host::Socket(_) => "http+docker://localhost".to_owned(),
            Host::Plain(address) => format!("http://{address}"),
            Host::Secure(address) => format!("https://{address}"),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Socket(path) => write!(f, "unix://{}", path.display()),
            Host::Plain(_) | Host::Secure(_) => f.write_str(&self.base()),
        }
    }
}

/// Reads an address as docker-py does; one without a scheme is `tcp://`.
fn parse(address: &str, tls: bool) -> Result<Host, String> {
    let address = address.trim();
    let known = ["unix", "http+unix", "tcp", "http", "https", "ssh", "npipe", "fd"];
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) if known.contains(&scheme) => (scheme, rest),
        Some((scheme, _)) => return Err(format!("the scheme `{scheme}` is not known")),
        None => ("tcp", address),
    };
    let forward = "forward its socket, `ssh -N -L /tmp/docker.sock:/var/run/docker.sock HOST`, and name that: \
        `DOCKER_HOST=unix:///tmp/docker.sock`";
    let secure = match scheme {
        "unix" | "http+unix" => {
            let path = if rest.is_empty() { SOCKET.to_owned() } else { format!("/{}", rest.trim_start_matches('/')) };
            return Ok(Host::Socket(PathBuf::from(path)));
        }
        "ssh" => return Err(format!("engines behind SSH are not reached from here; {forward}")),
        "npipe" => return Err("named pipes are there on Windows only".to_owned()),
        "fd" => return Err("`fd` is for engines, not for their clients".to_owned()),
        "https" => true,
        "http" => false,
        _ => tls,
    };
    let address = rest.trim_end_matches('/');
    if address.contains(['/', '?', '#', '@']) {
        return Err("nothing but a host and a port can follow the scheme".to_owned());
    }
    let (name, port) = address.rsplit_once(':').ok_or("it has no port, such as `:2375`")?;
    if port.parse::<u16>().is_err() || port == "0" {
        return Err(format!("`{port}` is no port"));
    }
    let address = if name.is_empty() { format!("127.0.0.1:{port}") } else { address.to_owned() };
    Ok(if secure { Host::Secure(address) } else { Host::Plain(address) })
}

/// The engine of the context of Docker's command line, and where that is said. `DOCKER_CONTEXT` counts always, the
/// context that is in use only where no engine is at the usual place.
fn context(environment: &BTreeMap<String, String>, usual: bool) -> Result<Option<(String, String)>, String> {
    let asked = environment.get("DOCKER_CONTEXT").filter(|name| !name.is_empty()).cloned();
    let in_use = || client_file(environment)?.get("currentContext")?.as_str().map(str::to_owned);
    let name = match (asked, usual) {
        (Some(name), _) => Some(name),
        (None, true) => None,
        (None, false) => in_use(),
    };
    let Some(name) = name.filter(|name| name != "default") else { return Ok(None) };
    let digest = hex(&Sha256::digest(name.as_bytes()));
    let read = || {
        let file = client_dir(environment)?.join("contexts/meta").join(digest).join("meta.json");
        let meta: Value = serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
        meta["Endpoints"]["docker"]["Host"].as_str().map(str::to_owned)
    };
    let host = read().ok_or_else(|| format!("the Docker context `{name}` names no engine that can be read"))?;
    Ok(Some((format!("context {name}"), host)))
}

fn home(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    environment.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// Where Docker's command line keeps its configuration.
fn client_dir(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let named = environment.get("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(home(environment)?.join(".docker")))
}

/// The configuration of Docker's command line; none if there is none that can be read.
pub(super) fn client_file(environment: &BTreeMap<String, String>) -> Option<Value> {
    let text = std::fs::read_to_string(client_dir(environment)?.join("config.json")).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_py_reads_them() {
        let socket = |path: &str| Ok(Host::Socket(PathBuf::from(path)));
        for (address, host) in [
            ("unix:///run/x.sock", socket("/run/x.sock")),
            ("unix://", socket(SOCKET)),
            ("unix://run/x.sock", socket("/run/x.sock")),
            ("tcp://10.0.0.1:2375", Ok(Host::Plain("10.0.0.1:2375".to_owned()))),
            ("10.0.0.1:2375", Ok(Host::Plain("10.0.0.1:2375".to_owned()))),
            (":2375", Ok(Host::Plain("127.0.0.1:2375".to_owned()))),
            ("http://engine:2375/", Ok(Host::Plain("engine:2375".to_owned()))),
            ("https://engine:2376", Ok(Host::Secure("engine:2376".to_owned()))),
            ("tcp://[::1]:2375", Ok(Host::Plain("[::1]:2375".to_owned()))),
        ] {
            assert_eq!(parse(address, false), host, "{address}");
        }
        assert_eq!(parse("tcp://engine:2376", true), Ok(Host::Secure("engine:2376".to_owned())));
        for address in
            ["ssh://ada@host", "npipe:////./pipe/x", "fd://", "tcp://", "tcp://x", "gopher://x:1", "tcp://x:0"]
        {
            assert!(parse(address, false).is_err(), "{address}");
        }
        assert!(parse("tcp://a:1/path", false).is_err() && parse("tcp://u:p@a:1", false).is_err());
    }

    #[test]
    fn handles_begin_as_those_of_prefects_worker() {
        let base = |address: &str, tls| parse(address, tls).map(|host| host.base());
        assert_eq!(base("unix:///run/x.sock", true).as_deref(), Ok("http+docker://localhost"));
        assert_eq!(base("tcp://10.0.0.1:2376", true).as_deref(), Ok("https://10.0.0.1:2376"));
        assert_eq!(base("tcp://10.0.0.1:2375", false).as_deref(), Ok("http://10.0.0.1:2375"));
    }

    #[test]
    fn an_engine_over_tls_needs_its_certificates() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().display().to_string();
        let environment = [("DOCKER_HOST", "tcp://127.0.0.1:2376"), ("DOCKER_CERT_PATH", path.as_str())];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let why = engine(&environment).expect_err("no certificates").to_string();
        assert!(why.contains("key.pem"), "{why}");
    }

    #[test]
    fn a_context_says_where_the_engine_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let meta = dir.path().join("contexts/meta").join(hex(&Sha256::digest(b"mine")));
        std::fs::create_dir_all(&meta).expect("made");
        let host = r#"{"Name": "mine", "Endpoints": {"docker": {"Host": "unix:///run/mine.sock"}}}"#;
        std::fs::write(meta.join("meta.json"), host).expect("written");
        std::fs::write(dir.path().join("config.json"), r#"{"currentContext": "mine"}"#).expect("written");
        let mut environment = BTreeMap::from([("DOCKER_CONFIG".to_owned(), dir.path().display().to_string())]);
        let found = Some(("context mine".to_owned(), "unix:///run/mine.sock".to_owned()));
        assert_eq!(context(&environment, false), Ok(found.clone()));
        assert_eq!(context(&environment, true), Ok(None));
        environment.insert("DOCKER_CONTEXT".to_owned(), "mine".to_owned());
        assert_eq!(context(&environment, true), Ok(found));
        environment.insert("DOCKER_CONTEXT".to_owned(), "other".to_owned());
        assert!(context(&environment, true).is_err());
    }
}
