//! What the configuration of Docker's command line says of registries and proxies.
//!
//! docker-py 7.2 `auth.py`, `credentials/store.py`, `utils/proxy.py`.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use bollard::auth::DockerCredentials;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What the Docker Hub is called in the configuration.
const HUB: &str = "https://index.docker.io/v1/";
/// The user of those who have a token.
const TOKEN: &str = "<token>";
/// So long a credential helper may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who we are to a registry; none if nothing is known, which is enough for what everybody may pull.
///
/// # Errors
/// If there is a credential helper for it, and that fails.
pub(super) async fn credentials(file: &Value, registry: &str) -> Result<Option<DockerCredentials>, String> {
    let server = if registry == "docker.io" { HUB } else { registry };
    let helper = file["credHelpers"][server].as_str().or_else(|| file["credsStore"].as_str());
    if let Some(helper) = helper
        && let Some(found) = helped(helper, server).await?
    {
        return Ok(Some(found));
    }
    Ok(kept(file, registry))
}

/// What the configuration itself holds.
fn kept(file: &Value, registry: &str) -> Option<DockerCredentials> {
    let entries = file["auths"].as_object()?;
    let (server, entry) = entries.iter().find(|(server, _)| host(server) == registry)?;
    let address = Some(server.clone());
    if let Some(token) = entry["identitytoken"].as_str() {
        let identitytoken = Some(token.to_owned());
        return Some(DockerCredentials { identitytoken, serveraddress: address, ..DockerCredentials::default() });
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(entry["auth"].as_str()?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(of(user, password.trim_end_matches('\0'), address))
}

/// A registry by its host, whatever its address.
pub(super) fn host(server: &str) -> &str {
    let bare = server.trim_start_matches("https://").trim_start_matches("http://");
    match bare.split('/').next().unwrap_or(bare) {
        "index.docker.io" => "docker.io",
        host => host,
    }
}

/// Credentials of a user with a password.
pub(super) fn of(user: &str, password: &str, server: Option<String>) -> DockerCredentials {
    DockerCredentials {
        username: Some(user.to_owned()),
        password: Some(password.to_owned()),
        serveraddress: server,
        ..DockerCredentials::default()
    }
}

/// What a credential helper knows: a program that is asked on its standard input and answers with JSON.
async fn helped(name: &str, server: &str) -> Result<Option<DockerCredentials>, String> {
    if name.is_empty() || name.contains('/') {
        return Err(format!("`{name}` is no name of a credential helper"));
    }
    let program = format!("docker-credential-{name}");
    let failed = |why: String| format!("the credential helper `{program}` failed: {why}");
    let ask = async {
        let mut command = Command::new(&program);
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(server.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(PATIENCE, ask).await.map_err(|_| failed("it does not answer".to_owned()))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return if said.contains("credentials not found") { Ok(None) } else { Err(failed(output.status.to_string())) };
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|_| failed("it answers no JSON".to_owned()))?;
    let (Some(user), Some(secret)) = (answer["Username"].as_str(), answer["Secret"].as_str()) else {
        return Err(failed("it answers neither user nor secret".to_owned()));
    };
    let server = Some(server.to_owned());
    Ok(Some(match user {
        TOKEN => DockerCredentials {
            identitytoken: Some(secret.to_owned()),
            serveraddress: server,
            ..DockerCredentials::default()
        },
        user => of(user, secret, server),
    }))
}

/// The variables that tell programs in containers of proxies; `base` is how docker-py calls the engine.
pub(super) fn proxies(file: &Value, base: &str) -> Vec<Value> {
    let found = &file["proxies"];
    let found = if found[base].is_object() { &found[base] } else { &found["default"] };
    let names = [("httpProxy", "http_proxy"), ("httpsProxy", "https_proxy"), ("ftpProxy", "ftp_proxy")];
    let mut variables = BTreeMap::new();
    for (key, name) in names.into_iter().chain([("noProxy", "no_proxy")]) {
        if let Some(value) = found[key].as_str().filter(|value| !value.is_empty()) {
            variables.insert(name.to_owned(), value);
            variables.insert(name.to_uppercase(), value);
        }
    }
    variables.into_iter().map(|(name, value)| json!(format!("{name}={value}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_found_by_their_hosts() {
        let auth = base64::engine::general_purpose::STANDARD.encode("ada:pw:x");
        let file = json!({"auths": {
            HUB: {"auth": auth}, "https://reg.example:5000": {"identitytoken": "t"}, "empty.example": {},
        }});
        let hub = kept(&file, "docker.io").expect("known");
        assert_eq!((hub.username.as_deref(), hub.password.as_deref()), (Some("ada"), Some("pw:x")));
        assert_eq!(kept(&file, "reg.example:5000").and_then(|found| found.identitytoken).as_deref(), Some("t"));
        assert_eq!(kept(&file, "empty.example"), None);
        assert_eq!(kept(&file, "other.example"), None);
        assert_eq!(kept(&Value::Null, "docker.io"), None);
    }

    #[test]
    fn proxies_are_told_in_both_spellings() {
        let file = json!({"proxies": {"default": {"httpProxy": "http://p:1"}, "http://e:1": {"noProxy": "x"}}});
        assert_eq!(proxies(&file, "http+docker://localhost"), ["HTTP_PROXY=http://p:1", "http_proxy=http://p:1"]);
        assert_eq!(proxies(&file, "http://e:1"), ["NO_PROXY=x", "no_proxy=x"]);
        assert!(proxies(&Value::Null, "").is_empty());
    }
}
