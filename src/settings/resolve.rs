//! `resolve`: decides every setting from plain values.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;
use url::Url;

use super::error::SettingsError;
use super::inputs::Inputs;
use super::layers::{Found, Layers, Source};
use super::names::{self, Name};
use super::{Absence, Api, Settings, trust, ui_url, values};
use crate::diagnostic::Diagnostic;
use crate::model::{Connection, Secret};

/// Decides every setting. The first problem is the error: none of them leaves a connection that should be used.
pub fn resolve(inputs: &Inputs) -> Result<Settings, SettingsError> {
    if inputs.flags.untrusted {
        return Ok(untrusted(inputs));
    }
    let layers = Layers::read(inputs)?;
    let mut diagnostics = Vec::new();
    diagnostics.extend(layers.warning.as_ref().map(|text| {
        Diagnostic::warning("W0500", text.clone()).help("choose one with `--profile` or `prefect profile use`")
    }));
    let unaddressed = transport(&layers, inputs)?;
    let api = api(&layers, inputs, &unaddressed)?;
    if let (Api::Configured(_), Some(what)) = (&api, empty_setting(&layers)) {
        diagnostics.push(
            Diagnostic::warning("W0501", format!("{what} is set but empty, which counts as not set"))
                .help("unset it, or give it the value that is missing"),
        );
    }
    Ok(Settings {
        api,
        default_work_pool_name: text(&layers, names::WORK_POOL)?,
        default_docker_build_namespace: text(&layers, names::DOCKER_NAMESPACE)?,
        profile: layers.profile.clone(),
        prefect_home: prefect_home(&layers, &inputs.home)?,
        unaddressed,
        diagnostics,
    })
}

/// The `profiles.toml` to read, and whether a file of the repository chose it.
pub(super) fn profiles_path(inputs: &Inputs) -> Result<(PathBuf, bool), SettingsError> {
    let layers = Layers::without_profile(inputs)?;
    let home = prefect_home(&layers, &inputs.home)?;
    if let Some(found) = layers.get(names::PROFILES_PATH)
        && let path = value(&found, values::text)?
        && !path.is_empty()
    {
        let path = path.replace("$PREFECT_HOME", &home.to_string_lossy());
        return Ok((expanded(&path, &inputs.home), found.steered_by_tree));
    }
    // Only the environment moves the profiles along with the home directory, as with Prefect.
    let home = match inputs.env.get("PREFECT_HOME").filter(|home| !home.is_empty()) {
        Some(home) => expanded(home, &inputs.home),
        None => inputs.home.join(".prefect"),
    };
    Ok((home.join("profiles.toml"), false))
}

fn untrusted(inputs: &Inputs) -> Settings {
    Settings {
        api: Api::Absent { why: Absence::Untrusted },
        default_work_pool_name: None,
        default_docker_build_namespace: None,
        profile: None,
        prefect_home: inputs.home.join(".prefect"),
        unaddressed: Connection::new(""),
        diagnostics: Vec::new(),
    }
}

fn prefect_home(layers: &Layers, home: &Path) -> Result<PathBuf, SettingsError> {
    let set = text(layers, names::HOME)?;
    Ok(set.map_or_else(|| home.join(".prefect"), |path| expanded(&path, home)))
}

/// A path with `~` in front taken as the home directory.
fn expanded(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

/// How to connect, without address and credentials.
fn transport(layers: &Layers, inputs: &Inputs) -> Result<Connection, SettingsError> {
    let mut connection = Connection::new("");
    set(layers, names::TLS_INSECURE, values::boolean, &mut connection.tls_insecure)?;
    set(layers, names::HTTP2, values::boolean, &mut connection.http2)?;
    set(layers, names::CSRF, values::boolean, &mut connection.csrf)?;
    set(layers, names::MAX_RETRIES, values::count, &mut connection.max_retries)?;
    set(layers, names::RETRY_CODES, values::codes, &mut connection.retry_extra_codes)?;
    let mut seconds = connection.timeout.as_secs_f64();
    set(layers, names::TIMEOUT, values::seconds, &mut seconds)?;
    connection.timeout = inputs.flags.timeout.unwrap_or(Duration::from_secs_f64(seconds));
    connection.parallelism = inputs.flags.parallelism.unwrap_or(connection.parallelism).max(1);
    if let Some(url) = text(layers, names::CLOUD_API_URL)? {
        connection.cloud_api_url = url;
    }
    let by_default = inputs.env.get("SSL_CERT_FILE").filter(|path| !path.is_empty());
    let ca_file = text(layers, names::CA_FILE)?.or_else(|| by_default.cloned());
    connection.ca_file = ca_file.map(|path| expanded(&path, &inputs.home));
    Ok(connection)
}

fn api(layers: &Layers, inputs: &Inputs, transport: &Connection) -> Result<Api, SettingsError> {
    if inputs.flags.local {
        return Ok(Api::Absent { why: Absence::Local });
    }
    let url = from_flags(inputs).or_else(|| layers.get(names::API_URL));
    let Some(url) = url.filter(|found| !is_blank(&found.value)) else {
        return Ok(Api::Absent { why: absence(layers, inputs) });
    };
    Ok(Api::Configured(connection(layers, inputs, transport, &url)?))
}

/// The address from `--api-url` or `reconcile.yaml`.
fn from_flags(inputs: &Inputs) -> Option<Found> {
    let found = |text: &String, source, of_tree| Found {
        value: Value::String(text.clone()),
        source,
        called: "api.url".to_owned(),
        steered_by_tree: of_tree,
        own_of_tree: of_tree,
    };
    let flags = &inputs.flags;
    let by_flag = flags.api_url.as_ref().map(|url| found(url, Source::Flag("--api-url"), false));
    // A profile named on the command line is a choice of the API; the file's own must not override it.
    let declared = flags.declared.url.as_ref().filter(|_| flags.profile.is_none());
    by_flag.or_else(|| declared.map(|url| found(url, Source::Declared, true)))
}

fn absence(layers: &Layers, inputs: &Inputs) -> Absence {
    if let Some(what) = empty_setting(layers) {
        return Absence::Empty { what };
    }
    let ci = inputs.env.get("CI").map(|ci| ci.trim().to_lowercase());
    match ci.as_deref() {
        None | Some("" | "0" | "false") => Absence::Unset,
        Some(_) => Absence::Ci,
    }
}

/// The first `PREFECT_API_*` variable that is there but empty, described.
fn empty_setting(layers: &Layers) -> Option<String> {
    let empty = layers.vars(|name, value| name.starts_with("PREFECT_API_") && value.trim().is_empty());
    empty.into_iter().next().map(|(name, source)| format!("`{name}` in {source}"))
}

fn connection(
    layers: &Layers,
    inputs: &Inputs,
    transport: &Connection,
    url: &Found,
) -> Result<Connection, SettingsError> {
    let key = credential(layers.get(names::API_KEY));
    let auth = credential(layers.get(names::API_AUTH));
    let key_file = inputs.api_key.as_ref().map(|_| Found {
        value: Value::String(String::new()),
        source: Source::Flag("--api-key-file"),
        called: "--api-key-file".to_owned(),
        steered_by_tree: false,
        own_of_tree: false,
    });
    // A key given by hand is meant: it replaces whatever credentials are lying around.
    let (key, auth) = if key_file.is_some() { (key_file, None) } else { (key, auth) };
    let headers = credential(layers.get(names::HEADERS));
    let guards = [layers.get(names::TLS_INSECURE), layers.get(names::CA_FILE)];
    let credentials: Vec<&Found> = [&key, &auth, &headers].into_iter().flatten().collect();
    trust::check(url, &credentials, &guards.iter().flatten().collect::<Vec<_>>())?;

    let mut connection = transport.clone();
    let (address, in_address) = address(url)?;
    connection.from = url.described();
    connection.key = match &inputs.api_key {
        Some(key) => Some(key.clone()),
        None => key.as_ref().map(sealed).transpose()?,
    };
    connection.auth = auth.as_ref().map(sealed).transpose()?;
    if connection.key.is_none() && connection.auth.is_none() {
        connection.auth = in_address;
    }
    if let Some(found) = &headers {
        let all = value(found, values::headers)?;
        connection.headers = all.into_iter().map(|(name, text)| (name, Secret::text(text))).collect();
    }
    connection.ui_url = Some(match text(layers, names::UI_URL)? {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let cloud_ui = text(layers, names::CLOUD_UI_URL)?;
            ui_url::inferred(&address, &connection.cloud_api_url, cloud_ui.as_deref())
        }
    });
    connection.url = address;
    Ok(connection)
}

/// The address without final slash and without credentials, and the credentials it held.
fn address(found: &Found) -> Result<(String, Option<Secret>), SettingsError> {
    const HELP: &str = "give an address such as `http://127.0.0.1:4200/api`";
    let given = value(found, values::text)?;
    let mut url = Url::parse(given.trim()).map_err(|_| found.bad("is not a web address", HELP))?;
    // `http:///api` parses, with the host `api`.
    if !matches!(url.scheme(), "http" | "https") || given.contains(":///") {
        return Err(found.bad("is not an address that starts with `http://` or `https://`", HELP));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(found.bad("holds a `?` or `#`, which no API address has", HELP));
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let auth = (!url.username().is_empty())
        .then(|| Secret::text(format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()))));
    // Both only fail for addresses without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok((url.as_str().trim_end_matches('/').to_owned(), auth))
}

fn credential(found: Option<Found>) -> Option<Found> {
    found.filter(|found| !is_blank(&found.value))
}

fn sealed(found: &Found) -> Result<Secret, SettingsError> {
    let text = value(found, values::text)?;
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err(found.bad("holds a line break or another control character", "give it again as a single line"));
    }
    Ok(Secret::text(text))
}

fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// A text; empty counts as not set.
fn text(layers: &Layers, name: Name) -> Result<Option<String>, SettingsError> {
    match layers.get(name) {
        Some(found) => Ok(Some(value(&found, values::text)?).filter(|text| !text.is_empty())),
        None => Ok(None),
    }
}

/// Puts a setting's value into its place, if some place has one.
pub(super) fn set<T>(
    layers: &Layers,
    name: Name,
    parse: impl Fn(&Value) -> Result<T, String>,
    place: &mut T,
) -> Result<(), SettingsError> {
    if let Some(found) = layers.get(name).filter(|found| !is_blank(&found.value)) {
        *place = value(&found, parse)?;
    }
    Ok(())
}

fn value<T>(found: &Found, parse: impl Fn(&Value) -> Result<T, String>) -> Result<T, SettingsError> {
    parse(&found.value).map_err(|problem| found.bad(problem, "correct it there, or remove it"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::inputs::{FileText, Profiles};
    use super::*;

    fn file(name: &str, text: &str) -> Option<FileText> {
        Some(FileText { name: name.to_owned(), text: text.to_owned(), outside: false })
    }

    fn env(vars: &[(&str, &str)]) -> BTreeMap<String, String> {
        vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn profiles(text: &str) -> Option<Profiles> {
        Some(Profiles { file: file("profiles.toml", text)?, chosen_by_tree: false })
    }

    fn connected(inputs: &Inputs) -> Connection {
        match resolve(inputs).expect("good settings").api {
            Api::Configured(connection) => connection,
            Api::Absent { why } => panic!("no API: {why:?}"),
        }
    }

    fn absent(inputs: &Inputs) -> Absence {
        match resolve(inputs).expect("good settings").api {
            Api::Configured(connection) => panic!("an API: {}", connection.url),
            Api::Absent { why } => why,
        }
    }

    #[test]
    fn the_first_place_that_has_a_setting_wins() {
        let mut inputs = Inputs {
            profiles: profiles("active='p'\n[profiles.p]\nPREFECT_API_URL='http://profile/api'"),
            ..Inputs::default()
        };
        assert_eq!(connected(&inputs).url, "http://profile/api");
        inputs.pyproject = file("pyproject.toml", "[tool.prefect.api]\nurl='http://pyproject/api'");
        assert_eq!(connected(&inputs).url, "http://pyproject/api");
        inputs.prefect_toml = file("prefect.toml", "[api]\nurl='http://toml/api/'");
        assert_eq!(connected(&inputs).from, "`api.url` in `prefect.toml`");
        inputs.dotenv = file(".env", "PREFECT_API_URL=http://dotenv/api");
        assert_eq!(connected(&inputs).url, "http://dotenv/api");
        inputs.env = env(&[("PREFECT_API_URL", "http://env/api")]);
        assert_eq!(connected(&inputs).from, "`PREFECT_API_URL` in the environment");
        inputs.flags.declared.url = Some("http://declared/api".to_owned());
        assert_eq!(connected(&inputs).url, "http://declared/api");
        inputs.flags.api_url = Some("http://flag/api".to_owned());
        assert_eq!(
            (connected(&inputs).url.as_str(), connected(&inputs).from.as_str()),
            ("http://flag/api", "`--api-url`")
        );
    }

    #[test]
    fn an_address_of_the_repository_gets_no_key_from_elsewhere() {
        let key = ("PREFECT_API_KEY", "canary");
        let evil = [
            Inputs { dotenv: file(".env", "PREFECT_API_URL=http://evil/api"), ..Inputs::default() },
            Inputs { prefect_toml: file("prefect.toml", "[api]\nurl='http://evil/api'"), ..Inputs::default() },
            Inputs { pyproject: file("p", "[tool.prefect.api]\nurl='http://evil/api'"), ..Inputs::default() },
            Inputs {
                flags: crate::settings::Flags {
                    declared: crate::settings::Declared { url: Some("http://evil/api".to_owned()), profile: None },
                    ..Default::default()
                },
                ..Inputs::default()
            },
        ];
        for inputs in evil {
            assert!(connected(&inputs).key.is_none());
            let by_env = Inputs { env: env(&[key]), ..inputs.clone() };
            let by_flag = Inputs { api_key: Some(Secret::text("canary")), ..inputs.clone() };
            let by_headers =
                Inputs { env: env(&[("PREFECT_CLIENT_CUSTOM_HEADERS", r#"{"a":"canary"}"#)]), ..inputs.clone() };
            let by_profile = Inputs {
                profiles: profiles("active='p'\n[profiles.p]\nPREFECT_API_AUTH_STRING='canary'"),
                ..inputs.clone()
            };
            for inputs in [by_env, by_flag, by_headers, by_profile] {
                let error = resolve(&inputs).expect_err("refused");
                assert_eq!(error.code(), "E0504");
                assert!(!format!("{error} {}", error.help()).contains("canary"));
            }
        }
    }

    #[test]
    fn the_repositorys_own_key_goes_to_its_own_address() {
        let text = "PREFECT_API_URL=http://x/api\nPREFECT_API_KEY=own";
        let inputs = Inputs { dotenv: file(".env", text), ..Inputs::default() };
        assert_eq!(connected(&inputs).key.and_then(|key| key.reveal_str().map(str::to_owned)).as_deref(), Some("own"));
    }

    #[test]
    fn a_dotenv_cannot_borrow_from_the_environment() {
        let secret = ("TOKEN", "canary");
        for text in [
            "PREFECT_API_URL=http://evil/${TOKEN}/api",
            "PREFECT_API_URL=http://evil/api\nPREFECT_API_KEY=${TOKEN}",
            "A=${TOKEN}\nPREFECT_API_URL=http://evil/api\nPREFECT_API_KEY=${A}",
        ] {
            let inputs = Inputs { dotenv: file(".env", text), env: env(&[secret]), ..Inputs::default() };
            assert_eq!(resolve(&inputs).expect_err("refused").code(), "E0504", "{text}");
        }
    }

    #[test]
    fn a_linked_file_is_not_the_repositorys_own() {
        let mut dotenv = file(".env", "PREFECT_API_KEY=canary").expect("a file");
        dotenv.outside = true;
        let prefect_toml = file("prefect.toml", "[api]\nurl='http://evil/api'");
        let inputs = Inputs { dotenv: Some(dotenv), prefect_toml, ..Inputs::default() };
        assert_eq!(resolve(&inputs).expect_err("refused").code(), "E0504");
    }

    #[test]
    fn the_repository_cannot_pick_the_profile_that_gets_away_with_a_key() {
        let mut inputs = Inputs {
            profiles: profiles("active='p'\n[profiles.p]\nPREFECT_API_URL='http://x/api'\nPREFECT_API_KEY='k'"),
            ..Inputs::default()
        };
        assert!(connected(&inputs).key.is_some());
        inputs.profiles.as_mut().expect("set above").chosen_by_tree = true;
        assert_eq!(resolve(&inputs).expect_err("refused").code(), "E0504");
    }

    #[test]
    fn the_repository_cannot_switch_off_certificate_checks_for_others_keys() {
        let inputs = Inputs {
            env: env(&[("PREFECT_API_URL", "https://x/api"), ("PREFECT_API_KEY", "k")]),
            dotenv: file(".env", "PREFECT_API_TLS_INSECURE_SKIP_VERIFY=1"),
            ..Inputs::default()
        };
        assert_eq!(resolve(&inputs).expect_err("refused").code(), "E0504");
    }

    #[test]
    fn untrusted_reads_nothing() {
        let mut inputs = Inputs {
            env: env(&[("PREFECT_API_URL", "http://env/api"), ("PREFECT_DEFAULT_WORK_POOL_NAME", "p")]),
            dotenv: file(".env", "PREFECT_API_URL=http://dotenv/api"),
            prefect_toml: file("prefect.toml", "not toml"),
            ..Inputs::default()
        };
        inputs.flags.untrusted = true;
        assert_eq!(absent(&inputs), Absence::Untrusted);
        assert_eq!(resolve(&inputs).expect("nothing read").default_work_pool_name, None);
    }

    #[test]
    fn a_missing_api_is_explained() {
        assert_eq!(absent(&Inputs::default()), Absence::Unset);
        assert_eq!(absent(&Inputs { env: env(&[("CI", "true")]), ..Inputs::default() }), Absence::Ci);
        assert_eq!(absent(&Inputs { env: env(&[("CI", "false")]), ..Inputs::default() }), Absence::Unset);
        let empty = Inputs {
            env: env(&[("PREFECT_API_URL", "")]),
            profiles: profiles("active='p'\n[profiles.p]\nPREFECT_API_URL='http://profile/api'"),
            ..Inputs::default()
        };
        let why = absent(&empty);
        let refusal = why.refusal().expect("an error").to_string();
        assert_eq!(refusal, "no Prefect API is configured: `PREFECT_API_URL` in the environment is set but empty");
        let mut local = empty;
        local.flags.local = true;
        assert_eq!(absent(&local), Absence::Local);
        assert!(Absence::Local.refusal().is_none());
    }

    #[test]
    fn an_empty_key_is_a_warning() {
        let inputs =
            Inputs { env: env(&[("PREFECT_API_URL", "http://x/api"), ("PREFECT_API_KEY", "")]), ..Inputs::default() };
        let settings = resolve(&inputs).expect("good settings");
        assert_eq!(settings.diagnostics[0].code, "W0501");
    }

    #[test]
    fn addresses_are_checked_and_their_credentials_hidden() {
        for bad in ["x", "ftp://x/api", "http://x/api?k=v", "http:///api"] {
            let inputs = Inputs { env: env(&[("PREFECT_API_URL", bad)]), ..Inputs::default() };
            match resolve(&inputs) {
                Err(error) => assert_eq!(error.code(), "E0501", "{bad}"),
                Ok(settings) => panic!("{bad} was taken: {settings:?}"),
            }
        }
        let inputs = Inputs { env: env(&[("PREFECT_API_URL", "http://me:p%40ss@x/api")]), ..Inputs::default() };
        let connection = connected(&inputs);
        assert_eq!(connection.url, "http://x/api");
        assert_eq!(connection.auth.as_ref().and_then(Secret::reveal_str), Some("me:p@ss"));
        assert!(!format!("{connection:?}").contains("p@ss"));
    }

    #[test]
    fn a_broken_file_is_named_by_line_and_not_quoted() {
        let inputs = Inputs { prefect_toml: file("prefect.toml", "[api]\nkey = 'canary' x"), ..Inputs::default() };
        let error = resolve(&inputs).expect_err("not TOML").to_string();
        assert_eq!(error, "`prefect.toml` is not valid TOML in line 2");
    }

    #[test]
    fn profiles_are_chosen_and_misspelt_ones_refused() {
        let text =
            "active='a'\n[profiles.a]\nPREFECT_API_URL='http://a/api'\n[profiles.b]\nPREFECT_API_URL='http://b/api'";
        let mut inputs = Inputs { profiles: profiles(text), ..Inputs::default() };
        inputs.env = env(&[("PREFECT_PROFILE", "b")]);
        assert_eq!(connected(&inputs).url, "http://b/api");
        inputs.flags.profile = Some("a".to_owned());
        assert_eq!(connected(&inputs).url, "http://a/api");
        inputs.flags.profile = Some("c".to_owned());
        let error = resolve(&inputs).expect_err("unknown");
        assert_eq!(error.code(), "E0503");
        assert!(error.help().contains("`a`, `b`"), "{}", error.help());
        let gone = Inputs { profiles: profiles("active='x'\n[profiles.a]"), ..Inputs::default() };
        assert_eq!(resolve(&gone).expect("only a warning").diagnostics[0].code, "W0500");
    }
}
