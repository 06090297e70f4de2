//! Where a job runs, by the variables that the forges set: which forge, which repository, which request, and the token.

use std::fmt;
use std::path::Path;

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use super::Misplaced;

/// A forge's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// GitHub, and what speaks like it.
    GitHub,
    /// GitLab.
    GitLab,
}

impl Which {
    /// What it calls a request.
    pub fn request(self) -> &'static str {
        match self {
            Which::GitHub => "pull request",
            Which::GitLab => "merge request",
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Which::GitHub => "GitHub",
            Which::GitLab => "GitLab",
        })
    }
}

/// What is shown to be let in. Nothing prints it.
#[derive(Clone)]
pub(super) struct Token {
    pub name: HeaderName,
    pub value: HeaderValue,
}

/// A place at a forge.
#[derive(Clone)]
pub struct Place {
    /// Which forge.
    pub which: Which,
    /// Its REST API; ends in a slash.
    pub(super) api: Url,
    /// `owner/name`, or the number of a project.
    pub(super) repository: String,
    pub(super) token: Token,
    /// The page of this job.
    pub run: Option<String>,
    /// The commit that the job is about.
    pub commit: Option<String>,
    request: Option<u64>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({} {} {})", self.which, self.api, self.repository)
    }
}

impl Place {
    /// The place that the environment describes. `read` gives the text of a file.
    ///
    /// The token is `RECONCILE_FORGE_TOKEN`, which nothing else of a pass gets to see, or else `GITHUB_TOKEN`; at
    /// GitLab `GITLAB_TOKEN`, or else `CI_JOB_TOKEN`.
    ///
    /// # Errors
    /// It describes none, or there is no token.
    pub fn of(
        env: impl Fn(&str) -> Option<String>,
        read: impl Fn(&Path) -> Option<String>,
    ) -> Result<Place, Misplaced> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        match (env("GITHUB_REPOSITORY"), env("CI_PROJECT_ID")) {
            (Some(repository), _) => github(repository, env, read),
            (None, Some(project)) => gitlab(project, env),
            (None, None) => Err(Misplaced::Nowhere),
        }
    }

    /// The request that the job is about.
    ///
    /// # Errors
    /// It is about none.
    pub fn request(&self) -> Result<u64, Misplaced> {
        self.request.ok_or(Misplaced::NoRequest { which: self.which })
    }
}

fn github(
    repository: String,
    env: impl Fn(&str) -> Option<String>,
    read: impl Fn(&Path) -> Option<String>,
) -> Result<Place, Misplaced> {
    let sound = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && part != ".."
    };
    if !repository.split_once('/').is_some_and(|(owner, name)| sound(owner) && sound(name)) {
        return Err(wrong("GITHUB_REPOSITORY", "not of the form `owner/name`"));
    }
    let api = env("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned());
    let token = env("RECONCILE_FORGE_TOKEN").or_else(|| env("GITHUB_TOKEN"));
    let token = token.ok_or(Misplaced::NoToken { which: Which::GitHub })?;
    let server = env("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
    let run = env("GITHUB_RUN_ID").filter(|id| id.bytes().all(|b| b.is_ascii_digit()));
    let event = env("GITHUB_EVENT_PATH").and_then(|path| read(Path::new(&path)));
    let event: Value = event.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let asked = event["pull_request"]["number"].as_u64();
    let talked = event["issue"]["pull_request"].is_object().then(|| event["issue"]["number"].as_u64()).flatten();
    Ok(Place {
        which: Which::GitHub,
        api: address("GITHUB_API_URL", &api)?,
        run: run.and_then(|run| page(&format!("{server}/{repository}/actions/runs/{run}"))),
        repository,
        token: token_of("authorization", &format!("Bearer {}", token.trim()))?,
        commit: env("GITHUB_SHA").filter(|sha| is_commit(sha)),
        request: asked.or(talked).or_else(|| of_ref(&env("GITHUB_REF")?)),
    })
}

/// `refs/pull/7/merge`
fn of_ref(name: &str) -> Option<u64> {
    name.strip_prefix("refs/pull/")?.split('/').next()?.parse().ok()
}

fn gitlab(project: String, env: impl Fn(&str) -> Option<String>) -> Result<Place, Misplaced> {
    if !project.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong("CI_PROJECT_ID", "not a number"));
    }
    let api = env("CI_API_V4_URL").ok_or_else(|| wrong("CI_API_V4_URL", "not set"))?;
    let own = env("RECONCILE_FORGE_TOKEN").or_else(|| env("GITLAB_TOKEN"));
    let token = match (own, env("CI_JOB_TOKEN")) {
        (Some(token), _) => token_of("private-token", token.trim())?,
        (None, Some(token)) => token_of("job-token", token.trim())?,
        (None, None) => return Err(Misplaced::NoToken { which: Which::GitLab }),
    };
    Ok(Place {
        which: Which::GitLab,
        api: address("CI_API_V4_URL", &api)?,
        repository: project,
        token,
        run: env("CI_JOB_URL").and_then(|url| page(&url)),
        commit: env("CI_COMMIT_SHA").filter(|sha| is_commit(sha)),
        request: env("CI_MERGE_REQUEST_IID").and_then(|iid| iid.parse().ok()),
    })
}

fn wrong(variable: &'static str, problem: &str) -> Misplaced {
    Misplaced::Variable { variable, problem: problem.to_owned() }
}

/// The API's address with a slash at its end.
fn address(variable: &'static str, text: &str) -> Result<Url, Misplaced> {
    let url = Url::parse(&format!("{}/", text.trim_end_matches('/')));
    let sound = |url: &Url| matches!(url.scheme(), "http" | "https") && url.host().is_some();
    url.ok().filter(sound).ok_or_else(|| wrong(variable, "no address of an API"))
}

/// An address that can stand in Markdown.
fn page(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let text = url.to_string();
    (!text.contains(['(', ')', '<', '>', '"', '\\', '`'])).then_some(text)
}

fn is_commit(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn token_of(name: &'static str, value: &str) -> Result<Token, Misplaced> {
    let mut value =
        HeaderValue::from_str(value).map_err(|_| wrong("the token", "of characters that no HTTP header can carry"))?;
    value.set_sensitive(true);
    Ok(Token { name: HeaderName::from_static(name), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)], event: &str) -> Result<Place, Misplaced> {
        let find = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        Place::of(find, |_| Some(event.to_owned()))
    }

    const GITHUB: [(&str, &str); 3] =
        [("GITHUB_REPOSITORY", "o/r"), ("GITHUB_TOKEN", "canary"), ("GITHUB_EVENT_PATH", "/event")];

    #[test]
    fn the_event_says_which_pull_request_else_the_ref() {
        let by_event = of(&GITHUB, r#"{"pull_request": {"number": 7}, "number": 9}"#).expect("a place");
        assert_eq!(by_event.request(), Ok(7));
        let talked = of(&GITHUB, r#"{"issue": {"number": 8, "pull_request": {}}}"#).expect("a place");
        assert_eq!(talked.request(), Ok(8));
        let issue = of(&GITHUB, r#"{"issue": {"number": 8}}"#).expect("a place");
        assert_eq!(issue.request(), Err(Misplaced::NoRequest { which: Which::GitHub }));
        let by_ref = of(&[&GITHUB[..2], &[("GITHUB_REF", "refs/pull/6/merge")]].concat(), "").expect("a place");
        assert_eq!(by_ref.request(), Ok(6));
        assert!(!format!("{by_ref:?}").contains("canary"));
        assert_eq!(by_ref.token.value.to_str().ok(), Some("Bearer canary"));
    }

    #[test]
    fn what_the_forge_says_is_checked() {
        for repository in ["o", "o/r/x", "../x", "o/..", "o/$(id)", "o/r?x"] {
            assert!(of(&[("GITHUB_REPOSITORY", repository), ("GITHUB_TOKEN", "t")], "").is_err(), "{repository}");
        }
        assert!(of(&[&GITHUB[..], &[("GITHUB_API_URL", "ftp://x")]].concat(), "").is_err());
        assert!(of(&[("GITHUB_REPOSITORY", "o/r")], "").is_err(), "no token");
        assert!(matches!(of(&[], ""), Err(Misplaced::Nowhere)));
        let odd = [("CI_PROJECT_ID", "7"), ("CI_API_V4_URL", "http://x/api/v4"), ("CI_JOB_TOKEN", "c")];
        let place = of(&[&odd[..], &[("CI_JOB_URL", "javascript:alert(1)")]].concat(), "").expect("a place");
        assert_eq!((place.run.as_deref(), place.token.name.as_str()), (None, "job-token"));
        assert_eq!(place.request(), Err(Misplaced::NoRequest { which: Which::GitLab }));
    }
}
