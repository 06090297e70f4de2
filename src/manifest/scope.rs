//! The name of a scope when reconcile.yaml gives none: from the git remote, else from the directory.

use percent_encoding::percent_decode_str;

use crate::model::RepoPath;

/// Hosts that serve the same repositories under a second name.
const ALIASES: [(&str, &str); 4] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
    ("ssh.dev.azure.com", "dev.azure.com"),
];

/// `host/owner/repo[/subdir]` from a remote's URL, or `dir_name` when there is no remote with a host.
///
/// Every way of cloning one repository (https, ssh, scp-like, with or without credentials, port and `.git`) gives
/// the same name, so that a laptop and a CI job own the same objects.
pub fn scope_name(remote: Option<&str>, subdir: &RepoPath, dir_name: &str) -> String {
    match remote.and_then(repository) {
        Some(repository) if subdir.as_str().is_empty() => repository,
        Some(repository) => format!("{repository}/{subdir}"),
        None => dir_name.to_owned(),
    }
}

/// A scope's name within an environment: `shop@prod`.
pub fn with_env(name: &str, env: Option<&str>) -> String {
    match env {
        Some(env) => format!("{name}@{env}"),
        None => name.to_owned(),
    }
}

/// `host/owner/repo`; none for a path of this machine.
fn repository(url: &str) -> Option<String> {
    let url = url.trim();
    let (authority, path) = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => return None,
        Some((_, rest)) => rest.split_once('/')?,
        None => scp_like(url)?,
    };
    let host = host(authority)?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8_lossy();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() {
        return None;
    }
    Some(format!("{host}/{}", canonical(&host, &parts).join("/")))
}

/// Host and path of `[user@]host:path`; none for a local path, such as one with a `/` before the first colon.
fn scp_like(url: &str) -> Option<(&str, &str)> {
    let colon = match url.find('[') {
        Some(open) if open == 0 || url[..open].ends_with('@') => open + url[open..].find("]:")? + 1,
        _ => url.find(':')?,
    };
    let (authority, path) = (&url[..colon], &url[colon + 1..]);
    // `C:\repo` is a drive, not a host.
    if authority.contains(['/', '\\']) || authority.len() < 2 {
        return None;
    }
    Some((authority, path))
}

/// The host alone, in lower case: no user, no password, no port.
fn host(authority: &str) -> Option<String> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(ipv6) => ipv6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        return None;
    }
    let host = host.to_lowercase();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == host);
    Some(alias.map_or(host.clone(), |(_, name)| (*name).to_owned()))
}

/// Azure writes `v3/org/project/repo` over ssh and `org/project/_git/repo` over https.
fn canonical<'a>(host: &str, parts: &[&'a str]) -> Vec<&'a str> {
    match parts {
        ["v3", org, project, repo] if host == "dev.azure.com" => vec![org, project, "_git", repo],
        _ => parts.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(remote: &str) -> String {
        scope_name(Some(remote), &RepoPath::new(""), "here")
    }

    #[test]
    fn every_way_of_cloning_gives_one_name() {
        for remote in [
            "https://github.com/acme/shop.git",
            "https://github.com/acme/shop",
            "https://github.com/acme/shop/",
            "https://github.com/acme/shop.git/",
            "https://GitHub.com:443/acme/shop.git",
            "https://x-access-token:ghs_abc@github.com/acme/shop.git",
            "https://token@github.com/acme/shop",
            "ssh://git@github.com/acme/shop.git",
            "ssh://git@ssh.github.com:443/acme/shop.git",
            "git+ssh://git@github.com:22/acme/shop.git",
            "git@github.com:acme/shop.git",
            "git@github.com:/acme/shop.git",
            "github.com:acme/shop",
            "git://github.com/acme/shop.git\n",
        ] {
            assert_eq!(name(remote), "github.com/acme/shop", "{remote}");
        }
        assert_eq!(name("git@ssh.dev.azure.com:v3/org/proj/re%20po"), "dev.azure.com/org/proj/_git/re po");
        assert_eq!(name("https://org@dev.azure.com/org/proj/_git/re%20po"), "dev.azure.com/org/proj/_git/re po");
        assert_eq!(name("https://gitlab.com/a/b/c/d.git"), "gitlab.com/a/b/c/d");
        assert_eq!(name("ssh://git@[::1]:2222/a/b.git"), "::1/a/b");
        assert_eq!(name("git@[::1]:a/b.git"), "::1/a/b");
    }

    #[test]
    fn a_machines_path_is_no_name() {
        for remote in [
            "",
            "/srv/git/shop.git",
            "../shop",
            "./a:b",
            "file:///srv/git/shop.git",
            "C:\\repos\\shop",
            "https://github.com/",
            "https://github.com",
            "https:///acme/shop",
            "host:",
        ] {
            assert_eq!(name(remote), "here", "{remote}");
        }
        assert_eq!(scope_name(None, &RepoPath::new("team"), "here"), "here");
    }

    #[test]
    fn the_directory_and_the_environment_are_part_of_it() {
        let name = scope_name(Some("git@github.com:acme/mono.git"), &RepoPath::new("teams/a"), "a");
        assert_eq!(name, "github.com/acme/mono/teams/a");
        assert_eq!(with_env(&name, Some("prod")), "github.com/acme/mono/teams/a@prod");
        assert_eq!(with_env(&name, None), name);
    }

    proptest! {
        #[test]
        fn no_password_is_ever_part_of_it(password in "[a-zA-Z0-9]{8,20}") {
            let name = name(&format!("https://user:{password}@example.com/a/b.git"));
            prop_assert_eq!(name, "example.com/a/b");
        }

        #[test]
        fn no_text_makes_it_panic(remote in "\\PC{0,40}") {
            prop_assert!(!name(&remote).is_empty());
        }
    }
}
