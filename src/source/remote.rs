//! `Remote`: a repository elsewhere, mirrored in the cache directory and checked out beside the mirror.
//!
//! | path in `git/<digest of address and reference>/` | holds |
//! |---|---|
//! | `mirror.git/` | what was fetched: of a branch or tag the last commit alone |
//! | `<name of the repository>/` | that commit, checked out; its objects are the mirror's |
//! | `modules/` | mirrors of submodules, if they are wanted |
//! | `lock` | who may write the above |
//! | `verified` | the last commit that somebody signed who may, if that matters: it outlives the mirror |
//!
//! Both are made again when they turn out to be damaged, or too many fetches have left something behind. The contents
//! of large file storage are not fetched. It blocks on network and disk.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use git2::build::CheckoutBuilder;
use git2::{AutotagOption, Direction, Error, ErrorClass, FetchOptions, Oid, Repository, RepositoryInitOptions};
use semver::{Version, VersionReq};
use sha2::{Digest, Sha256};
use url::Url;

use super::error::SourceError;
use super::export::{begin, check_out};
use super::signature::Signers;
use super::submodules;
use super::transport::{self, Access, Credentials};
use crate::model::RepoPath;

/// A mirror that holds the leavings of so many fetches is made again.
const MOST_PACKS: usize = 40;
/// Where a commit is kept that was asked for by its id.
const WANTED: &str = "refs/reconcile/wanted";
/// Which commit was last found to be signed by somebody who may.
const VERIFIED: &str = "refs/reconcile/verified";

/// What is wanted of a remote repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The branch that it checks out itself.
    #[default]
    Default,
    /// The tip of a branch.
    Branch(String),
    /// A tag, or the highest one that lies in a range of versions such as `>=1.2, <2` or `1.*`.
    Tag(String),
    /// A commit, or whatever else names one.
    Commit(String),
}

/// A repository elsewhere.
#[derive(Clone)]
pub struct Remote {
    /// What is connected to, without credentials.
    url: String,
    /// The same as it was given: what others are told.
    origin: String,
    wanted: Wanted,
    subdir: RepoPath,
    place: PathBuf,
    access: Access,
    /// Who has to have signed a commit.
    signers: Option<Signers>,
    submodules: bool,
    /// How many more submodules there may be, those of submodules included.
    left: Arc<AtomicUsize>,
    /// Where the files go, if not beside the mirror.
    into: Option<PathBuf>,
}

/// The files of a commit, for as long as this lives.
#[derive(Debug)]
pub struct CheckedOut {
    /// The directory that was asked for.
    pub dir: PathBuf,
    /// The full id of the commit.
    pub commit: String,
    /// The commit that is wanted and may not be used: the files are those of the last one that might.
    pub refused: Option<Refused>,
    _lock: File,
}

/// A commit that may not be used.
#[derive(Debug)]
pub struct Refused {
    /// Its full id.
    pub commit: String,
    /// Why.
    pub error: SourceError,
}

/// What came of fetching.
struct Synced {
    /// What is checked out; nothing if there is no commit that may be used.
    commit: Option<Oid>,
    /// What would have been, and why it is not.
    refused: Option<(Oid, String)>,
}

/// A commit, and the branch it is the tip of.
type Found = (Oid, Option<String>);

impl Remote {
    /// A repository by its address: `https://…`, `ssh://…`, `user@host:path`, `file://…` or a path.
    ///
    /// Credentials in the address go before those given, and are not kept. `cache` is the cache directory.
    ///
    /// # Errors
    /// An address that is none, a reference that git would not take, or a directory outside of the repository.
    pub fn new(
        url: &str,
        wanted: Wanted,
        subdir: &str,
        cache: &Path,
        mut access: Access,
    ) -> Result<Remote, SourceError> {
        let Address { url, origin, credentials } = address(url).map_err(|message| failed("the repository", message))?;
        if let Some(credentials) = credentials {
            access.credentials = credentials;
        }
        if let Wanted::Branch(name) | Wanted::Tag(name) | Wanted::Commit(name) = &wanted
            && (name.is_empty() || name.starts_with('-') || name.chars().any(char::is_control))
        {
            return Err(failed(&origin, format!("`{name}` is no reference")));
        }
        let subdir = RepoPath::new(subdir);
        if subdir.escapes() || subdir.as_str().starts_with('/') {
            return Err(failed(&origin, format!("`{subdir}` is no directory of the repository")));
        }
        let place = cache.join("git").join(short_digest(&format!("{url}\0{wanted:?}")));
        let left = Arc::default();
        Ok(Remote { place, url, origin, wanted, subdir, access, signers: None, submodules: false, left, into: None })
    }

    /// From now on only commits count that these have signed. `None`: all do.
    #[must_use]
    pub fn signed_by(self, signers: Option<Signers>) -> Remote {
        Remote { signers, ..self }
    }

    /// Submodules are checked out as well, into a place of their own.
    #[must_use]
    pub fn with_submodules(self) -> Remote {
        let place = self.place.with_extension("submodules");
        Remote { submodules: true, place, ..self }
    }

    /// A submodule of this repository at one commit, whose files go into a directory of this one's.
    pub(super) fn submodule(&self, url: String, origin: String, commit: Oid, access: Access, into: PathBuf) -> Remote {
        let place = self.place.join("modules").join(short_digest(&url));
        let wanted = Wanted::Commit(commit.to_string());
        let (subdir, into, left) = (RepoPath::new(""), Some(into), self.left.clone());
        Remote { url, origin, wanted, subdir, place, access, signers: None, submodules: true, left, into }
    }

    /// The address without credentials.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What is connected to.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Takes so many of the submodules that there may be; false if there are not so many.
    pub(super) fn may_have(&self, submodules: usize) -> bool {
        let less = |left: usize| left.checked_sub(submodules);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Who we are to it.
    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// Fetches what is wanted, as far as it is not there, and checks it out. `None` while another process does.
    ///
    /// # Errors
    /// A server that cannot be reached or refuses, a reference that it does not have, a full disk.
    pub fn check_out(&self) -> Result<Option<CheckedOut>, SourceError> {
        let io = |error: std::io::Error| failed(&self.origin, format!("{}: {error}", self.place.display()));
        fs::create_dir_all(&self.place).map_err(io)?;
        let lock = File::options().create(true).append(true).open(self.place.join("lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        self.left.store(submodules::MOST, Ordering::Relaxed);
        let Synced { commit, refused } = self.sync_again(0).map_err(|error| self.failed(&error))?;
        let refused = refused.map(|(commit, why)| {
            let (url, commit) = (self.origin.clone(), commit.to_string());
            Refused { commit: commit.clone(), error: SourceError::Unsigned { url, commit, why } }
        });
        let Some(commit) = commit.map(|commit| commit.to_string()) else {
            let error = refused.map(|refused| refused.error);
            return Err(error.unwrap_or_else(|| failed(&self.origin, "there is no commit".to_owned())));
        };
        let tree = self.tree();
        let dir = tree.join(self.subdir.as_str()).canonicalize().ok();
        let inside = |dir: &PathBuf| dir.is_dir() && tree.canonicalize().is_ok_and(|tree| dir.starts_with(tree));
        let dir = dir.filter(inside).ok_or_else(|| {
            failed(&self.origin, format!("there is no directory `{}` at {}", self.subdir, &commit[..7]))
        })?;
        Ok(Some(CheckedOut { dir, commit, refused, _lock: lock }))
    }

    /// Brings a submodule to its commit.
    pub(super) fn fetch_as_submodule(&self, depth: usize) -> Result<(), Error> {
        self.sync_again(depth).map(drop)
    }

    /// Once more from the beginning if what is on this disk is damaged.
    fn sync_again(&self, depth: usize) -> Result<Synced, Error> {
        let once = || transport::with(&self.access, || self.sync(depth));
        match once() {
            Err(error) if is_of_the_disk(&error) => {
                tracing::warn!(message = error.message(), "the mirror of {} is made again", self.origin);
                self.forget().map_err(|error| Error::from_str(&error.to_string()))?;
                once()
            }
            result => result,
        }
    }

    fn mirror(&self) -> PathBuf {
        self.place.join("mirror.git")
    }

    /// Named like the repository: some build steps name what they make after the directory.
    fn tree(&self) -> PathBuf {
        if let Some(into) = &self.into {
            return into.clone();
        }
        let last = self.origin.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        let name: String = last
            .strip_suffix(".git")
            .unwrap_or(last)
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
            .collect();
        let taken = matches!(
            name.as_str(),
            "" | "." | ".." | "mirror" | "mirror.git" | "modules" | "lock" | "verified" | "verified.new"
        );
        self.place.join(if taken { "repository" } else { &name })
    }

    fn forget(&self) -> std::io::Result<()> {
        for dir in [self.mirror(), self.tree()] {
            match fs::remove_dir_all(dir) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Brings the mirror and the files to the wanted commit. `depth` is how many repositories lie around this one.
    fn sync(&self, depth: usize) -> Result<Synced, Error> {
        let path = self.mirror();
        let packs = fs::read_dir(path.join("objects/pack")).map_or(0, Iterator::count);
        if packs > 2 * MOST_PACKS {
            self.forget().map_err(|error| Error::from_str(&error.to_string()))?;
        }
        let mirror = match Repository::open_bare(&path) {
            Ok(mirror) => mirror,
            Err(_) => {
                self.forget().map_err(|error| Error::from_str(&error.to_string()))?;
                // Templates may bring hooks.
                let mut options = RepositoryInitOptions::new();
                Repository::init_opts(&path, options.bare(true).external_template(false).mkpath(true))?
            }
        };
        self.bring_back(&mirror);
        let (newest, branch) = self.fetch(&mirror)?;
        let (commit, refused) = self.verified(&mirror, newest)?;
        if let Some(commit) = commit {
            self.lay_out(&mirror, commit, branch.as_deref(), depth)?;
        }
        Ok(Synced { commit, refused: refused.map(|why| (newest, why)) })
    }

    /// The last commit that was good is not forgotten with its mirror, if the server still has it.
    fn bring_back(&self, mirror: &Repository) {
        let is_there = || mirror.refname_to_id(VERIFIED).is_ok_and(|good| has(mirror, good).is_some());
        if self.signers.is_none() || is_there() {
            return;
        }
        let noted = fs::read_to_string(self.place.join("verified")).ok();
        let Some(good) = noted.and_then(|id| full_id(id.trim())) else { return };
        let wanted = Remote { wanted: Wanted::Commit(good.to_string()), ..self.clone() };
        let fetched = mirror
            .remote_anonymous(&self.url)
            .and_then(|mut remote| wanted.fetch_commit(mirror, &mut remote))
            .and_then(|(good, _)| mirror.reference(VERIFIED, good, true, "").map(drop));
        if let Err(error) = fetched {
            tracing::info!(%error, "the last commit that was good is not to be had");
        }
    }

    /// This commit is good.
    fn note(&self, mirror: &Repository, good: Oid) -> Result<(), Error> {
        if mirror.refname_to_id(VERIFIED).ok() == Some(good) {
            return Ok(());
        }
        let (file, draft) = (self.place.join("verified"), self.place.join("verified.new"));
        let written = fs::write(&draft, format!("{good}\n")).and_then(|()| fs::rename(&draft, &file));
        written.map_err(|error| Error::from_str(&format!("{}: {error}", file.display())))?;
        mirror.reference(VERIFIED, good, true, "").map(drop)
    }

    /// The commit that may be used, if any: the newest, or the last one that was good and why the newest is not.
    fn verified(&self, mirror: &Repository, newest: Oid) -> Result<(Option<Oid>, Option<String>), Error> {
        let Some(signers) = &self.signers else { return Ok((Some(newest), None)) };
        let Some(why) = signers.objection(mirror, newest) else {
            self.note(mirror, newest)?;
            return Ok((Some(newest), None));
        };
        // Who may sign can be others by now.
        let last = mirror.refname_to_id(VERIFIED).ok().filter(|last| has(mirror, *last).is_some());
        Ok((last.filter(|last| signers.objection(mirror, *last).is_none()), Some(why)))
    }

    fn fetch(&self, mirror: &Repository) -> Result<Found, Error> {
        if let Wanted::Commit(name) = &self.wanted
            && let Some(commit) = full_id(name)
            && has(mirror, commit).is_some()
        {
            return Ok((commit, None));
        }
        let mut remote = mirror.remote_anonymous(&self.url)?;
        let mut connection = remote.connect_auth(Direction::Fetch, None, None)?;
        let refs: Vec<Ref> = connection.list()?.iter().map(Ref::of).collect();
        let Some(reference) = self.reference(&refs)? else {
            drop(connection);
            return self.fetch_commit(mirror, &mut remote);
        };
        if has(mirror, reference.id).is_none() {
            let spec = format!("+{0}:{0}", reference.name);
            connection.remote().fetch(&[spec], Some(&mut self.options(true)), None)?;
        }
        drop(connection);
        // A push may have come in between: then the reference is newer than what was listed.
        let id = mirror.refname_to_id(&reference.name).ok().filter(|id| has(mirror, *id).is_some());
        let listed = has(mirror, reference.id);
        let moved = id.and_then(|id| has(mirror, id)).filter(|_| listed.is_none());
        let commit = moved.or(listed).ok_or_else(|| Error::from_str("the server did not send what it listed"))?;
        Ok((commit, reference.name.strip_prefix("refs/heads/").map(str::to_owned)))
    }

    /// The reference that is wanted, among those the server has; none if a commit is wanted that it does not list.
    fn reference<'a>(&self, refs: &'a [Ref]) -> Result<Option<&'a Ref>, Error> {
        let named = |name: &str| refs.iter().find(|one| one.name == name);
        let missing = |what: String| Error::from_str(&what);
        match &self.wanted {
            Wanted::Default => {
                let head = named("HEAD").ok_or_else(|| missing("the repository is empty".to_owned()))?;
                let same = || refs.iter().find(|one| one.name.starts_with("refs/heads/") && one.id == head.id);
                Ok(Some(head.target.as_deref().and_then(named).or_else(same).unwrap_or(head)))
            }
            Wanted::Branch(name) => match named(&format!("refs/heads/{name}")) {
                Some(found) => Ok(Some(found)),
                None => Err(missing(format!("there is no branch `{name}`{}", similar(name, "refs/heads/", refs)))),
            },
            Wanted::Tag(name) => match named(&format!("refs/tags/{name}")).or_else(|| highest(name, refs)) {
                Some(found) => Ok(Some(found)),
                None => Err(missing(format!("there is no tag `{name}`{}", similar(name, "refs/tags/", refs)))),
            },
            // A branch or a tag may be called like another commit.
            Wanted::Commit(name) if full_id(name).is_some() => Ok(None),
            Wanted::Commit(name) => {
                let is_tip = |one: &&Ref| one.name.starts_with("refs/heads/") && one.id.to_string() == *name;
                let refs = named(&format!("refs/tags/{name}")).or_else(|| named(&format!("refs/heads/{name}")));
                Ok(refs.or_else(|| named("HEAD").filter(|head| head.id.to_string() == *name).filter(is_tip)))
            }
        }
    }

    /// A commit by its id, if the server gives away any; else everything is fetched to look for it.
    fn fetch_commit(&self, mirror: &Repository, remote: &mut git2::Remote<'_>) -> Result<Found, Error> {
        let Wanted::Commit(name) = &self.wanted else { return Err(Error::from_str("there is no such reference")) };
        let missing = || Error::from_str(&format!("there is no commit `{name}`"));
        if let Some(commit) = full_id(name) {
            let spec = format!("+{commit}:{WANTED}");
            let fetched = remote.fetch(&[spec], Some(&mut self.options(true)), None);
            if fetched.is_ok()
                && let Some(commit) = has(mirror, commit)
            {
                return Ok((commit, None));
            }
            // A branch or a tag is called so: that is not it, and what it brought is of no use.
            if fetched.is_ok()
                && let Ok(mut other) = mirror.find_reference(WANTED)
            {
                other.delete()?;
                return Err(missing());
            }
            tracing::debug!(?fetched, "the server does not give away commits by their ids: everything is fetched");
        }
        let specs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        if mirror.is_shallow() {
            // What a shallow mirror lacks is not asked for again.
            let _ = fs::remove_file(mirror.path().join("shallow"));
        }
        remote.fetch(&specs, Some(&mut self.options(false)), None)?;
        let found = mirror.revparse_single(name).and_then(|object| object.peel_to_commit());
        let found = found.map_err(|_| missing())?;
        // The name may be that of a branch.
        match full_id(name) {
            Some(id) if id != found.id() => Err(missing()),
            Some(_) | None => Ok((found.id(), None)),
        }
    }

    fn options(&self, shallow: bool) -> FetchOptions<'static> {
        let mut options = FetchOptions::new();
        options.download_tags(AutotagOption::None).update_fetchhead(false);
        // libgit2 cannot leave anything out when it copies from this disk.
        if shallow && self.url.contains("://") && !self.url.starts_with("file://") {
            options.depth(1);
        }
        options
    }

    /// Writes the files of a commit, over whatever was there.
    fn lay_out(&self, mirror: &Repository, commit: Oid, branch: Option<&str>, depth: usize) -> Result<(), Error> {
        let tree = self.tree();
        let before = if self.submodules { submodules::paths(&tree) } else { Vec::new() };
        self.write_files(&tree, mirror, commit, branch)?;
        if !self.submodules {
            return Ok(());
        }
        if !before.is_empty() && before != submodules::paths(&tree) {
            // Git leaves what belonged to a submodule that is gone.
            fs::remove_dir_all(&tree).map_err(|error| Error::from_str(&error.to_string()))?;
            self.write_files(&tree, mirror, commit, branch)?;
        }
        submodules::check_out(self, &tree, depth)
    }

    fn write_files(&self, tree: &Path, mirror: &Repository, commit: Oid, branch: Option<&str>) -> Result<(), Error> {
        let open = || -> Result<Repository, Error> {
            let repo = begin(mirror, tree).map_err(|message| Error::from_str(&message))?;
            repo.find_commit(commit)?;
            Ok(repo)
        };
        let repo = open().or_else(|_| {
            let _ = fs::remove_dir_all(tree);
            open()
        })?;
        let mut options = CheckoutBuilder::new();
        options.force().remove_untracked(true).remove_ignored(true);
        check_out(&repo, commit, &mut options)?;
        if repo.find_remote("origin").is_err() {
            repo.remote("origin", &self.origin)?;
        }
        let Some(branch) = branch else { return repo.set_head_detached(commit) };
        // A detached head first: git does not move the branch that is checked out.
        repo.set_head_detached(commit)?;
        let name = format!("refs/heads/{branch}");
        repo.reference(&name, commit, true, "")?;
        repo.set_head(&name)
    }

    fn failed(&self, error: &Error) -> SourceError {
        failed(&self.origin, error.message().to_owned())
    }
}

/// A name for a directory.
fn short_digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

fn failed(url: &str, message: String) -> SourceError {
    let help = match message.as_str() {
        text if text.contains("asks for credentials") || text.contains("wants credentials") => Some(
            "set RECONCILE_GIT_TOKEN (and RECONCILE_GIT_USER if the server minds), or configure a git credential helper",
        ),
        text if text.contains("refuses the credentials") || text.contains("forbids") => {
            Some("check that RECONCILE_GIT_TOKEN is valid and may read this repository")
        }
        text if text.contains("Host key verification failed") => {
            Some("add the host to ~/.ssh/known_hosts: compare the key with what the host publishes")
        }
        text if text.contains("Permission denied") => Some(
            "give ssh a key that the server knows: by an agent, by ~/.ssh/config, or by GIT_SSH_COMMAND=\"ssh -i KEY\"",
        ),
        text if text.starts_with("submodule `") => {
            Some("every submodule has to be there: see what .gitmodules says, or leave out `--submodules`")
        }
        _ => None,
    };
    SourceError::Remote { url: url.to_owned(), message, help }
}

/// A reference that the server has.
struct Ref {
    name: String,
    id: Oid,
    /// What it stands for, if it is no more than another name.
    target: Option<String>,
}

impl Ref {
    fn of(head: &git2::RemoteHead<'_>) -> Ref {
        let target = head.symref_target().map(str::to_owned);
        Ref { name: head.name().to_owned(), id: head.oid(), target }
    }
}

/// The tag with the highest version in a range. A prerelease counts only where the range speaks of one.
fn highest<'a>(range: &str, refs: &'a [Ref]) -> Option<&'a Ref> {
    let ranges = range.contains(|c| "<>=~^*,".contains(c));
    let range = VersionReq::parse(range).ok().filter(|_| ranges)?;
    let version = |one: &Ref| {
        let tag = one.name.strip_prefix("refs/tags/")?;
        Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok().filter(|version| range.matches(version))
    };
    refs.iter().filter_map(|one| Some((version(one)?, one))).max_by(|a, b| a.0.cmp(&b.0)).map(|(_, one)| one)
}

fn similar(name: &str, prefix: &str, refs: &[Ref]) -> String {
    let known = refs.iter().filter_map(|one| one.name.strip_prefix(prefix)).filter(|name| !name.ends_with("^{}"));
    crate::diagnostic::did_you_mean(name, known).map(|hint| format!(": {hint}")).unwrap_or_default()
}

fn full_id(name: &str) -> Option<Oid> {
    Oid::from_str(name).ok().filter(|_| name.len() == 40)
}

/// The commit that an object is or stands for, if it is there with its files.
fn has(mirror: &Repository, id: Oid) -> Option<Oid> {
    let commit = mirror.find_object(id, None).ok()?.peel_to_commit().ok()?;
    commit.tree().ok().map(|_| commit.id())
}

/// Whether what is on this disk seems to be the trouble: then it is made again.
fn is_of_the_disk(error: &Error) -> bool {
    matches!(
        error.class(),
        ErrorClass::Odb
            | ErrorClass::Object
            | ErrorClass::Tree
            | ErrorClass::Zlib
            | ErrorClass::Reference
            | ErrorClass::Repository
            | ErrorClass::Indexer
            | ErrorClass::Index
            | ErrorClass::Checkout
            | ErrorClass::Filesystem
            | ErrorClass::Config
            | ErrorClass::Os
    )
}

/// Where a repository is.
pub(super) struct Address {
    /// As transports take it.
    pub url: String,
    /// As it was given, but for credentials.
    pub origin: String,
    /// Those that stood in it.
    pub credentials: Option<Credentials>,
}

impl Address {
    fn plain(url: String) -> Address {
        Address { origin: url.clone(), url, credentials: None }
    }
}

/// Reads an address: `https://…`, `ssh://…`, `user@host:path`, `file://…` or a path.
pub(super) fn address(given: &str) -> Result<Address, String> {
    if given.is_empty() || given.starts_with('-') || given.chars().any(char::is_control) {
        return Err("that is no address of a repository".to_owned());
    }
    let Some((scheme, _)) = given.split_once("://") else { return without_scheme(given) };
    match scheme {
        "file" => return Ok(Address::plain(given.to_owned())),
        "http" | "https" | "ssh" => {}
        other => return Err(format!("`{other}` is not spoken: give https, ssh, file or a path")),
    }
    let mut url = Url::parse(given).map_err(|error| error.to_string())?;
    if scheme == "ssh" {
        let _ = url.set_password(None);
        return Ok(Address::plain(url.to_string()));
    }
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let credentials = match (decode(url.username()), url.password().map(decode)) {
        (user, None) if user.is_empty() => None,
        // `https://TOKEN@host`
        (token, None) => Some(Credentials::basic("x-access-token", &token)),
        (user, Some(password)) => Some(Credentials::basic(&user, &password)),
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(Address { credentials, ..Address::plain(url.to_string()) })
}

/// `user@host:path`, or a path of this machine.
fn without_scheme(given: &str) -> Result<Address, String> {
    let is_here = Path::new(given).exists();
    let Some((host, path)) = given.split_once(':').filter(|(host, _)| !is_here && !host.contains('/')) else {
        let path = Path::new(given).canonicalize().map_err(|error| error.to_string())?;
        return Ok(Address::plain(path.display().to_string()));
    };
    if host.is_empty() || path.is_empty() || path.starts_with(':') {
        return Err("that is no address of a repository".to_owned());
    }
    // What does not begin with a slash is below the home directory there.
    let below = if path.starts_with(['/', '~']) { path.to_owned() } else { format!("~/{path}") };
    let url = format!("ssh://{host}/{}", below.trim_start_matches('/'));
    Ok(Address { origin: given.to_owned(), ..Address::plain(url) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_credentials() {
        let of = |given: &str| address(given).map(|found| (found.url, found.credentials.is_some()));
        let is = |url: &str, known| Ok((url.to_owned(), known));
        assert_eq!(of("https://ada:canary@example.org/a.git"), is("https://example.org/a.git", true));
        assert_eq!(of("https://canary@example.org/a.git"), is("https://example.org/a.git", true));
        assert_eq!(of("https://example.org/a.git"), is("https://example.org/a.git", false));
        assert_eq!(of("ssh://git:canary@example.org/a"), is("ssh://git@example.org/a", false));
        assert_eq!(of("git@example.org:a/b.git"), is("ssh://git@example.org/~/a/b.git", false));
        assert_eq!(of("example.org:/srv/a"), is("ssh://example.org/srv/a", false));
        assert_eq!(
            address("git@example.org:a/b.git").map(|found| found.origin).as_deref(),
            Ok("git@example.org:a/b.git")
        );
        for bad in ["", "-x", "ext::sh -c id", "git://example.org/x", "https://", "/nowhere/at/all", "a\nb"] {
            assert!(of(bad).is_err(), "{bad}: {:?}", of(bad));
        }
    }

    #[test]
    fn the_highest_version_of_a_range_is_taken() {
        let names = ["v1.2.0", "1.10.0", "v2.0.0-rc.1", "v2.0.0", "nightly", "v1.9.9"];
        let one = |name: &&str| Ref { name: format!("refs/tags/{name}"), id: Oid::ZERO_SHA1, target: None };
        let refs: Vec<Ref> = names.iter().map(one).collect();
        let best = |range: &str| highest(range, &refs).map(|one| one.name.trim_start_matches("refs/tags/").to_owned());
        assert_eq!(best("1.*").as_deref(), Some("1.10.0"));
        assert_eq!(best(">=1.2, <1.10").as_deref(), Some("v1.9.9"));
        assert_eq!(best("^2").as_deref(), Some("v2.0.0"));
        assert_eq!((best("1.2"), best(">=3"), best("nightly*")), (None, None, None));
    }
}
