//! Submodules of a repository elsewhere: where they are, who we are to their servers, and where their files go.
//!
//! What `.gitmodules` says is the repository's word, not the user's: it leads to no file of this machine, out of no
//! directory, and no credentials of one server to another.

use std::path::{Component, Path};

use git2::{Error, Oid, Repository, SubmoduleUpdate};
use url::Url;

use super::remote::{Address, Remote, address};
use super::transport::{Access, Credentials};

/// Submodules of submodules are followed so far.
const DEEPEST: usize = 8;
/// So many submodules a repository may have, those of submodules included.
pub(super) const MOST: usize = 500;

/// A submodule: where it belongs, where it comes from, and which commit of it.
struct Submodule {
    path: std::path::PathBuf,
    url: String,
    commit: Oid,
}

/// Fetches and checks out the submodules of the commit that is checked out in `tree`. `depth` is how many repositories
/// lie around it.
///
/// # Errors
/// One that cannot be had, named.
pub(super) fn check_out(parent: &Remote, tree: &Path, depth: usize) -> Result<(), Error> {
    let repo = Repository::open(tree)?;
    let all = declared(&repo)?;
    if !parent.may_have(all.len()) || (depth >= DEEPEST && !all.is_empty()) {
        return Err(Error::from_str("there are too many submodules, or too deep ones"));
    }
    for one in all {
        let named = |message: &str| Error::from_str(&format!("submodule `{}`: {message}", one.path.display()));
        let found = child(parent, &one, tree).map_err(|message| named(&message))?;
        found.fetch_as_submodule(depth + 1).map_err(|error| named(error.message()))?;
    }
    Ok(())
}

/// The paths of the submodules that a commit has, as far as anything was checked out.
pub(super) fn paths(tree: &Path) -> Vec<std::path::PathBuf> {
    let all = Repository::open(tree).and_then(|repo| declared(&repo));
    let mut paths: Vec<_> = all.unwrap_or_default().into_iter().map(|one| one.path).collect();
    paths.sort();
    paths
}

fn declared(repo: &Repository) -> Result<Vec<Submodule>, Error> {
    let mut all = Vec::new();
    for one in repo.submodules()? {
        let path = one.path().to_owned();
        let Some(commit) = one.head_id() else { continue };
        // Its author says that it is not needed.
        if one.update_strategy() == SubmoduleUpdate::None {
            continue;
        }
        if path.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(Error::from_str(&format!("submodule `{}`: it leads out of the repository", path.display())));
        }
        let Some(url) = one.url()?.map(str::to_owned) else {
            let message = format!("submodule `{}`: .gitmodules does not say where it is", path.display());
            return Err(Error::from_str(&message));
        };
        all.push(Submodule { path, url, commit });
    }
    Ok(all)
}

fn child(parent: &Remote, one: &Submodule, tree: &Path) -> Result<Remote, String> {
    let given = match is_relative(&one.url) {
        true => relative(parent.origin(), &one.url).ok_or_else(|| format!("`{}` leads nowhere", one.url))?,
        false => one.url.clone(),
    };
    // Beside a repository of this machine there may be others of it.
    if !is_elsewhere(&given) && (is_elsewhere(parent.origin()) || !is_relative(&one.url)) {
        return Err("its address is a path, which would be one of this machine".to_owned());
    }
    let Address { url, origin, credentials } = address(&given)?;
    let own =
        if is_same_server(parent.url(), &url) { parent.access().credentials.clone() } else { Credentials::default() };
    let access = Access { credentials: credentials.unwrap_or(own), ..parent.access().clone() };
    // A link on the way would lead the files elsewhere.
    let mut into = tree.to_owned();
    for part in one.path.components() {
        into.push(part);
        if into.is_symlink() {
            return Err("a link lies in its way".to_owned());
        }
    }
    Ok(parent.submodule(url, origin, one.commit, access, into))
}

fn is_relative(url: &str) -> bool {
    url.starts_with("./") || url.starts_with("../")
}

/// Whether an address is one of another machine, or at least of a server.
fn is_elsewhere(address: &str) -> bool {
    match address.split_once("://") {
        Some((scheme, _)) => !scheme.eq_ignore_ascii_case("file"),
        // `user@host:path`, and no path that holds a colon.
        None => address.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains('/')),
    }
}

/// Whether what is known to one server may be told to the other.
fn is_same_server(one: &str, other: &str) -> bool {
    let server = |url: &str| {
        let url = Url::parse(url).ok()?;
        Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default()))
    };
    server(one).is_some_and(|one| server(other) == Some(one))
}

/// `../other.git` beside the repository around it, as git has it.
fn relative(origin: &str, path: &str) -> Option<String> {
    // What names the server is never left.
    let from = origin.find("://").map_or(0, |at| at + 3);
    let mut base = origin.trim_end_matches('/');
    let mut rest = path;
    loop {
        if let Some(next) = rest.strip_prefix("./") {
            rest = next;
        } else if let Some(next) = rest.strip_prefix("../") {
            rest = next;
            let path = base.get(from..)?;
            let below_host = || path.rfind(':').filter(|_| from == 0).map(|at| at + 1);
            let at = path.rfind('/').or_else(below_host)?;
            let shorter = &base[..from + at];
            if shorter == base || shorter.len() <= from {
                return None;
            }
            base = shorter;
        } else {
            break;
        }
    }
    if rest.is_empty() || rest.split('/').any(|part| part == "..") {
        return None;
    }
    Some(if base.ends_with(':') { format!("{base}{rest}") } else { format!("{base}/{rest}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_addresses_are_beside_the_repository() {
        let cases = [
            ("https://h/a/b.git", "../c.git", Some("https://h/a/c.git")),
            ("https://h/a/b.git/", "../../x/c.git", Some("https://h/x/c.git")),
            ("https://h/a/b.git", "./c", Some("https://h/a/b.git/c")),
            ("https://h/a/b.git", "../../../c", None),
            ("https://h:8080/b.git", "../../c", None),
            ("git@h:a/b.git", "../c.git", Some("git@h:a/c.git")),
            ("git@h:b.git", "../c.git", Some("git@h:c.git")),
            ("git@h:b.git", "../../c.git", None),
            ("/srv/a/b.git", "../c.git", Some("/srv/a/c.git")),
            ("https://h/a/b.git", "../c/../../../d", None),
            ("https://h/a/b.git", "../", None),
        ];
        for (origin, path, wanted) in cases {
            assert_eq!(relative(origin, path).as_deref(), wanted, "{origin} {path}");
        }
    }

    #[test]
    fn credentials_stay_with_their_server() {
        assert!(is_same_server("https://h/a", "https://h:443/b"));
        for (one, other) in [
            ("https://h/a", "https://x/a"),
            ("https://h/a", "http://h/a"),
            ("https://h/a", "https://h:8443/a"),
            ("https://h/a", "https://h.x/a"),
            ("/srv/a", "/srv/a"),
        ] {
            assert!(!is_same_server(one, other), "{one} {other}");
        }
        assert!(is_elsewhere("git@h:a") && is_elsewhere("https://h/a") && is_elsewhere("ssh://h/a"));
        assert!(
            !is_elsewhere("file:///etc")
                && !is_elsewhere("/etc")
                && !is_elsewhere("a/b:c")
                && !is_elsewhere("FILE:///x")
        );
    }
}
