//! Settings compared with what Prefect itself makes of the same environment and files.
#![allow(clippy::disallowed_methods, reason = "tests touch the world")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use reconcile::model::Secret;
use reconcile::settings::{Api, Declared, FileText, Flags, Inputs, Profiles, load, resolve};
use serde_json::{Value, json};

/// One case: the environment and the files of the working directory.
fn case(env: &[(&str, &str)], files: &[(&str, &str)]) -> Value {
    json!({"env": BTreeMap::from_iter(env.iter().copied()), "files": BTreeMap::from_iter(files.iter().copied())})
}

const URL: (&str, &str) = ("PREFECT_API_URL", "http://env/api");

fn cases() -> Vec<Value> {
    let full = "active='p'\n[profiles.p]\nPREFECT_API_URL='http://profile/api'\nPREFECT_API_KEY='pk'\n\
                PREFECT_DEFAULT_WORK_POOL_NAME='pp'\nPREFECT_CLIENT_MAX_RETRIES=7\n[profiles.q]\nPREFECT_API_URL='http://q/api'";
    let toml = "ui_url='http://ui'\n[api]\nurl='http://toml/api'\nrequest_timeout=5\ntls_insecure_skip_verify=true\n\
                [client]\nmax_retries=2\nretry_extra_codes=[404,500]\ncustom_headers={a='b'}\n[deployments]\ndefault_work_pool_name='tp'";
    let pyproject = "[project]\nname='x'\n[tool.prefect.api]\nurl='http://py/api'\nenable_http2=true\n\
                     [tool.prefect.deployments]\ndefault_docker_build_namespace='ns'";
    vec![
        case(&[], &[]),
        case(&[URL], &[]),
        case(&[("prefect_api_url", "http://lower/api")], &[]),
        case(&[("PREFECT_API_URL", "")], &[("profiles.toml", full)]),
        case(&[], &[("profiles.toml", full)]),
        case(&[("PREFECT_PROFILE", "q")], &[("profiles.toml", full)]),
        case(&[("PREFECT_PROFILE", "")], &[("profiles.toml", full)]),
        case(&[URL], &[("profiles.toml", full)]),
        case(&[], &[("prefect.toml", toml)]),
        case(&[], &[("pyproject.toml", pyproject)]),
        case(&[], &[("prefect.toml", toml), ("pyproject.toml", pyproject)]),
        case(&[URL, ("PREFECT_API_KEY", "k")], &[("prefect.toml", "[client]\nmax_retries=9")]),
        case(&[], &[(".env", "PREFECT_API_URL=http://dotenv/api\nexport PREFECT_API_KEY='k' # c\n")]),
        case(&[], &[(".env", "H=h\nPREFECT_API_URL=\"http://${H}:${P:-42}/api\"\n")]),
        case(&[], &[(".env", "prefect_api_url=http://lower/api\n")]),
        case(&[], &[(".env", "PREFECT_API_URL\nPREFECT_API_AUTH_STRING = a:b#c\n"), ("prefect.toml", toml)]),
        case(&[URL], &[(".env", "PREFECT_API_URL=http://dotenv/api")]),
        case(
            &[],
            &[
                (".env", "PREFECT_API_URL=http://dotenv/api"),
                ("prefect.toml", toml),
                ("profiles.toml", "[profiles.x]\n"),
            ],
        ),
        case(&[URL, ("PREFECT_CLIENT_CUSTOM_HEADERS", r#"{"X":"y"}"#)], &[]),
        case(&[URL, ("PREFECT_CLIENT_RETRY_EXTRA_CODES", "404, 500")], &[]),
        case(&[URL, ("PREFECT_CLIENT_RETRY_EXTRA_CODES", "404")], &[]),
        case(&[URL, ("PREFECT_API_REQUEST_TIMEOUT", "1.5"), ("PREFECT_CLIENT_CSRF_SUPPORT_ENABLED", "off")], &[]),
        case(&[URL, ("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "maybe")], &[]),
        case(&[URL, ("PREFECT_CLIENT_MAX_RETRIES", "-1")], &[]),
        case(&[("PREFECT_DEFAULT_WORK_POOL_NAME", "old")], &[]),
        case(&[("PREFECT_DEFAULT_WORK_POOL_NAME", "old"), ("PREFECT_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME", "new")], &[]),
        case(&[("PREFECT_DEFAULT_WORK_POOL_NAME", "old")], &[("prefect.toml", toml)]),
        case(
            &[("PREFECT_DEFAULT_WORK_POOL_NAME", "old")],
            &[(".env", "PREFECT_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME=new")],
        ),
        case(
            &[("PREFECT_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME", "new")],
            &[(".env", "PREFECT_DEFAULT_WORK_POOL_NAME=old")],
        ),
        case(&[("PREFECT_DEFAULT_DOCKER_BUILD_NAMESPACE", "e")], &[("pyproject.toml", pyproject)]),
        case(&[("PREFECT_API_URL", "https://api.prefect.cloud/api/accounts/a/workspaces/w")], &[]),
        case(
            &[
                ("PREFECT_API_URL", "https://c.org/api/accounts/a/workspaces/w"),
                ("PREFECT_CLOUD_API_URL", "https://c.org/api"),
            ],
            &[],
        ),
        case(&[URL, ("PREFECT_UI_URL", "http://ui.org")], &[]),
        case(&[], &[("prefect.toml", "nonsense =")]),
        case(&[], &[("pyproject.toml", "nonsense =")]),
        case(&[], &[("prefect.toml", "[api]\nurl=5")]),
        case(&[], &[("prefect.toml", "api='x'")]),
        case(&[], &[(".env", "\u{feff}PREFECT_API_URL=http://bom/api\r\nPREFECT_API_KEY=a b \r\n")]),
        case(&[], &[(".env", "PREFECT_API_URL=http://x/api\nbroken line here\nPREFECT_API_KEY=\"two\\nlines")]),
    ]
}

fn ours(case: &Value) -> Value {
    let text = |name: &str| case["files"][name].as_str().map(str::to_owned);
    let file = |name: &str| text(name).map(|text| FileText { name: name.to_owned(), text, outside: false });
    let mut env: BTreeMap<String, String> = serde_json::from_value(case["env"].clone()).expect("a mapping");
    env.insert("PREFECT_PROFILES_PATH".to_owned(), "profiles.toml".to_owned());
    let inputs = Inputs {
        env,
        dotenv: file(".env"),
        prefect_toml: file("prefect.toml"),
        pyproject: file("pyproject.toml"),
        profiles: file("profiles.toml").map(|file| Profiles { file, chosen_by_tree: false }),
        home: PathBuf::from("/nowhere"),
        ..Inputs::default()
    };
    let settings = match resolve(&inputs) {
        Ok(settings) => settings,
        Err(_) => return json!("error"),
    };
    let reveal = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().clone());
    let (url, c) = match &settings.api {
        Api::Configured(connection) => (json!(connection.url), connection),
        Api::Absent { .. } => (Value::Null, &settings.unaddressed),
    };
    let headers: BTreeMap<&String, &Value> = c.headers.iter().map(|(name, value)| (name, value.reveal())).collect();
    json!({
        "url": url, "key": reveal(&c.key), "auth": reveal(&c.auth), "insecure": c.tls_insecure, "http2": c.http2,
        "timeout": c.timeout.as_secs_f64(), "retries": c.max_retries, "codes": c.retry_extra_codes, "csrf": c.csrf,
        "headers": headers, "pool": settings.default_work_pool_name, "namespace": settings.default_docker_build_namespace,
        "ui": c.ui_url, "cloud": c.cloud_api_url,
    })
}

/// Prefect's answer in our words: an empty address is none, and without one there is nothing else to compare.
fn theirs(answer: &Value) -> Value {
    if answer.get("error").is_some() {
        return json!("error");
    }
    let mut answer = answer.clone();
    if answer["url"].as_str().is_none_or(str::is_empty) {
        for gone in ["url", "key", "auth", "ui"] {
            answer[gone] = Value::Null;
        }
        answer["headers"] = json!({});
    }
    answer
}

#[test]
fn settings_are_what_prefect_finds() {
    let cases = cases();
    let mut python = Command::new(crate::support::python())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/settings.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let input = serde_json::to_vec(&cases).expect("JSON");
    python.stdin.take().expect("a pipe").write_all(&input).expect("Python reads");
    let output = python.wait_with_output().expect("Python ends");
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).expect("Python answers in JSON");
    let differences: Vec<String> = cases
        .iter()
        .zip(&answers)
        .filter(|(case, answer)| ours(case) != theirs(answer))
        .map(|(case, answer)| format!("{case}\n  ours   {}\n  theirs {}", ours(case), theirs(answer)))
        .collect();
    assert_eq!(answers.len(), cases.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Flags whose address comes from the repository.
fn declared() -> Flags {
    Flags { declared: Declared { url: Some("http://declared/api".to_owned()), profile: None }, ..Flags::default() }
}

#[test]
fn files_are_found_and_links_out_of_the_repository_are_not_trusted() {
    let (repository, outside) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "PREFECT_API_KEY=canary\n").expect("written");
    std::fs::write(repository.path().join("prefect.toml"), "[client]\nmax_retries = 3\n").expect("written");
    let settings = load(declared(), repository.path()).expect("good settings");
    assert!(matches!(settings.api, Api::Configured(connection) if connection.url == "http://declared/api"));
    std::os::unix::fs::symlink(&secret, repository.path().join(".env")).expect("linked");
    let error = load(declared(), repository.path()).expect_err("the key is not the repository's own");
    assert_eq!(error.code(), "E0504");
    assert!(!error.to_string().contains("canary"));
    let untrusted = Flags { untrusted: true, ..declared() };
    assert!(matches!(load(untrusted, repository.path()).expect("nothing read").api, Api::Absent { .. }));
}

#[test]
fn a_key_file_is_read_and_complaints_do_not_quote_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("key");
    let flags =
        || Flags { api_url: Some("http://x/api".to_owned()), api_key_file: Some(file.clone()), ..Flags::default() };
    assert!(load(flags(), dir.path()).expect_err("no file").to_string().contains("does not exist"));
    for (text, problem) in [(" \n", "is empty"), ("canary\nmore", "more than one line")] {
        std::fs::write(&file, text).expect("written");
        let error = load(flags(), dir.path()).expect_err("no key").to_string();
        assert!(error.contains(problem) && !error.contains("canary"), "{error}");
    }
    std::fs::write(&file, "pnu_1\n").expect("written");
    let Api::Configured(connection) = load(flags(), dir.path()).expect("good settings").api else { panic!("no API") };
    assert_eq!((connection.key, connection.auth), (Some(Secret::text("pnu_1")), None));
}
