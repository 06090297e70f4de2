//! The `version_info` that Prefect infers for a deployment from CI variables and the git commit.
//!
//! The rules are those of Prefect 3.8.8 `prefect/_internal/versioning.py`, with one difference: credentials inside a
//! URL are not passed on.

use std::collections::BTreeMap;

/// Every version type that a declaration may ask for.
pub const TYPES: [&str; 6] =
    ["prefect:simple", "vcs:github", "vcs:gitlab", "vcs:bitbucket", "vcs:azuredevops", "vcs:git"];

/// The commit that the files come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitCommit {
    /// Its full id.
    pub sha: String,
    /// The branch as `git rev-parse --abbrev-ref HEAD` prints it: `HEAD` when detached.
    pub branch: String,
    /// The whole commit message, or its first line. Empty when there is none that can be read.
    pub message: String,
    /// The URL of `origin` as configured.
    pub remote: Option<String>,
}

/// What is known of a deployment's version, as the API takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// One of [`TYPES`].
    pub kind: &'static str,
    /// The first eight characters of the commit id.
    pub version: String,
    /// The commit id.
    pub commit_sha: String,
    /// The first line of the commit message.
    pub message: String,
    /// The branch.
    pub branch: String,
    /// The repository's name as the provider calls it.
    pub repository: String,
    /// Where to look at the commit; for plain git the remote.
    pub url: String,
}

impl VersionInfo {
    /// Its fields under the names the API uses.
    pub fn fields(&self) -> [(&'static str, &str); 7] {
        [
            ("type", self.kind),
            ("version", &self.version),
            ("commit_sha", &self.commit_sha),
            ("message", &self.message),
            ("branch", &self.branch),
            ("repository", &self.repository),
            ("url", &self.url),
        ]
    }
}

/// How one CI provider names things.
struct Provider {
    kind: &'static str,
    sha: &'static str,
    branch: &'static str,
    repository: &'static str,
    url: fn(&BTreeMap<String, String>, repository: &str, sha: &str) -> String,
}

const PROVIDERS: [Provider; 4] = [
    Provider {
        kind: "vcs:github",
        sha: "GITHUB_SHA",
        branch: "GITHUB_REF_NAME",
        repository: "GITHUB_REPOSITORY",
        url: |env, repository, sha| format!("{}/{repository}/tree/{sha}", py(env, "GITHUB_SERVER_URL")),
    },
    Provider {
        kind: "vcs:gitlab",
        sha: "CI_COMMIT_SHA",
        branch: "CI_COMMIT_REF_NAME",
        repository: "CI_PROJECT_NAME",
        url: |env, _, sha| format!("{}/-/tree/{sha}", py(env, "CI_PROJECT_URL")),
    },
    Provider {
        kind: "vcs:bitbucket",
        sha: "BITBUCKET_COMMIT",
        branch: "BITBUCKET_BRANCH",
        repository: "BITBUCKET_REPO_SLUG",
        url: |env, _, sha| format!("{}/src/{sha}", py(env, "BITBUCKET_GIT_HTTP_ORIGIN")),
    },
    Provider {
        kind: "vcs:azuredevops",
        sha: "BUILD_SOURCEVERSION",
        branch: "BUILD_SOURCEBRANCHNAME",
        repository: "BUILD_REPOSITORY_NAME",
        url: |env, _, sha| format!("{}?version=GC{sha}", py(env, "BUILD_REPOSITORY_URI")),
    },
];

/// Makes the variables of a CI run speak of another commit than the one that it was started for.
pub fn at_commit(env: &mut BTreeMap<String, String>, sha: &str) {
    for provider in &PROVIDERS {
        if let Some(value) = env.get_mut(provider.sha) {
            sha.clone_into(value);
        }
    }
}

/// An environment variable inside a Python f-string: one that is missing reads `None`.
fn py<'a>(env: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    env.get(name).map_or("None", String::as_str)
}

/// What Prefect would infer from an environment and a commit; none for `prefect:simple`, and where something is
/// missing. An unknown `version_type` gives none as well: whoever reads the declaration refuses it.
pub fn infer(
    env: &BTreeMap<String, String>,
    git: Option<&GitCommit>,
    version_type: Option<&str>,
) -> Option<VersionInfo> {
    // Every provider takes the message from the commit, so without a readable one nothing can be said.
    let git = git?;
    let message = first_line(&git.message)?;
    let asked = |kind: &str| version_type.is_none_or(|asked| asked == kind);
    PROVIDERS
        .iter()
        .filter(|provider| asked(provider.kind))
        .find_map(|provider| from_provider(provider, env, message))
        .or_else(|| asked("vcs:git").then(|| from_git(git, message)).flatten())
}

fn from_provider(provider: &Provider, env: &BTreeMap<String, String>, message: &str) -> Option<VersionInfo> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
    let (sha, branch, repository) = (set(provider.sha)?, set(provider.branch)?, set(provider.repository)?);
    Some(VersionInfo {
        kind: provider.kind,
        version: short(sha),
        commit_sha: sha.clone(),
        message: message.to_owned(),
        branch: branch.clone(),
        repository: repository.clone(),
        url: without_credentials(&(provider.url)(env, repository, sha)),
    })
}

fn from_git(git: &GitCommit, message: &str) -> Option<VersionInfo> {
    let remote = strip(git.remote.as_deref()?);
    let path = url_path(remote)?;
    let path = path.trim_matches('/');
    let repository = path.strip_suffix(".git").unwrap_or(path);
    if repository.is_empty() {
        return None;
    }
    Some(VersionInfo {
        kind: "vcs:git",
        version: short(&git.sha),
        commit_sha: git.sha.clone(),
        message: message.to_owned(),
        branch: git.branch.clone(),
        repository: repository.to_owned(),
        url: without_credentials(remote),
    })
}

fn short(sha: &str) -> String {
    sha.chars().take(8).collect()
}

/// A URL without what could be a credential: the whole user part over http, the password over anything else.
/// A URL that holds none is returned unchanged.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((user, host)) = rest[..end].rsplit_once('@') else { return url.to_owned() };
    let web = scheme.to_ascii_lowercase().starts_with("http");
    let tail = &rest[end..];
    match user.split_once(':') {
        None if !web => url.to_owned(),
        Some((user, _)) if !web => format!("{scheme}://{user}@{host}{tail}"),
        _ => format!("{scheme}://{host}{tail}"),
    }
}

/// Python's `str.strip()`.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
}

/// Python's `text.strip().splitlines()[0]`; none when that would fail.
pub fn first_line(message: &str) -> Option<&str> {
    let ends = ['\n', '\r', '\x0b', '\x0c', '\x1c', '\x1d', '\x1e', '\u{85}', '\u{2028}', '\u{2029}'];
    strip(message).split(ends).next().filter(|line| !line.is_empty())
}

/// The `path` of Python 3.11's `urllib.parse.urlparse`; none where that refuses the URL.
fn url_path(url: &str) -> Option<String> {
    let url = url.trim_start_matches(|c| c <= ' ').replace(['\t', '\r', '\n'], "");
    let (scheme, mut rest) = split_scheme(&url);
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        check_netloc(&after[..end])?;
        rest = &after[end..];
    }
    let path = rest.split(['#', '?']).next().unwrap_or_default();
    Some(if takes_params(&scheme) { without_params(path) } else { path }.to_owned())
}

fn split_scheme(url: &str) -> (String, &str) {
    match url.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme.to_ascii_lowercase(), rest)
        }
        _ => (String::new(), url),
    }
}

/// Python refuses lone brackets and brackets around anything but an IPv6 or later address.
fn check_netloc(netloc: &str) -> Option<()> {
    match (netloc.contains('['), netloc.contains(']')) {
        (false, false) => return Some(()),
        (true, true) => {}
        _ => return None,
    }
    let inner = netloc.split_once('[').map_or("", |(_, inner)| inner);
    let inner = inner.split_once(']').map_or(inner, |(inner, _)| inner);
    if let Some(future) = inner.strip_prefix('v') {
        let (version, address) = future.split_once('.')?;
        let hex = !version.is_empty() && version.chars().all(|c| c.is_ascii_hexdigit());
        return (hex && !address.is_empty()).then_some(());
    }
    let address = match inner.split_once('%') {
        Some((address, zone)) if !zone.is_empty() && !zone.contains('%') => address,
        Some(_) => return None,
        None => inner,
    };
    address.parse::<std::net::Ipv6Addr>().ok().map(|_| ())
}

/// The schemes in which `;` begins parameters.
fn takes_params(scheme: &str) -> bool {
    let known = [
        "", "ftp", "hdl", "prospero", "http", "imap", "https", "shttp", "rtsp", "rtsps", "rtspu", "sip", "sips", "mms",
        "sftp", "tel",
    ];
    known.contains(&scheme)
}

/// Drops `;parameters` of the last part of a path.
fn without_params(path: &str) -> &str {
    let last = path.rfind('/').unwrap_or(0);
    path[last..].find(';').map_or(path, |at| &path[..last + at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commit(remote: &str) -> GitCommit {
        GitCommit {
            sha: "0123456789abcdef".into(),
            branch: "main".into(),
            message: "\n first\nsecond".into(),
            remote: Some(remote.into()),
        }
    }

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn plain_git_needs_a_remote_and_a_message() {
        let info = infer(&env(&[]), Some(&commit("git@github.com:acme/shop.git")), None).unwrap();
        assert_eq!((info.kind, &*info.version, &*info.message), ("vcs:git", "01234567", "first"));
        assert_eq!((&*info.repository, &*info.url), ("git@github.com:acme/shop", "git@github.com:acme/shop.git"));
        assert_eq!(infer(&env(&[]), Some(&GitCommit { remote: None, ..commit("") }), None), None);
        assert_eq!(infer(&env(&[]), Some(&GitCommit { message: " ".into(), ..commit("a/b") }), None), None);
        assert_eq!(infer(&env(&[]), None, None), None);
        assert_eq!(infer(&env(&[]), Some(&commit("a/b")), Some("prefect:simple")), None);
    }

    #[test]
    fn a_missing_server_url_reads_none_as_in_python() {
        let env = env(&[("GITHUB_SHA", "abc"), ("GITHUB_REF_NAME", "b"), ("GITHUB_REPOSITORY", "o/r")]);
        let info = infer(&env, Some(&commit("x")), None).unwrap();
        assert_eq!((info.kind, &*info.url), ("vcs:github", "None/o/r/tree/abc"));
        assert_eq!(infer(&env, Some(&commit("x")), Some("vcs:gitlab")), None);
    }

    #[test]
    fn credentials_are_dropped_and_nothing_else() {
        for (with, without) in [
            ("https://user:token@h/a/b.git", "https://h/a/b.git"),
            ("https://ghp_token@h/a", "https://h/a"),
            ("HTTPS://u:p@ss@h:8443/a?x=@#y", "HTTPS://h:8443/a?x=@#y"),
            ("ssh://git@h:22/a", "ssh://git@h:22/a"),
            ("ssh://git:pw@h/a", "ssh://git@h/a"),
            ("git@h:a/b", "git@h:a/b"),
            ("https://h/a/@scope/b", "https://h/a/@scope/b"),
            ("/srv/git/a", "/srv/git/a"),
        ] {
            assert_eq!(without_credentials(with), without, "{with}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(remote in "\\PC{0,40}", message in "\\PC{0,20}") {
            let git = GitCommit { message, ..commit(&remote) };
            if let Some(info) = infer(&BTreeMap::new(), Some(&git), None) {
                prop_assert!(!info.repository.is_empty() && !info.message.is_empty());
            }
        }
    }
}
