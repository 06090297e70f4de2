//! `--git`: the files of a repository elsewhere take the place of a directory.

#[cfg(feature = "git")]
use std::time::Duration;

#[cfg(feature = "git")]
use super::args::GitArgs;
use super::args::Selecting;
use super::exit::{Exit, wrong_usage};
#[cfg(feature = "git")]
use super::pass;
#[cfg(feature = "git")]
use crate::reconcile::PassError;
use crate::reconcile::Request;
#[cfg(feature = "git")]
use crate::source::{Access, CheckedOut, Remote, Signers, SourceError, Wanted};

/// So often one looks whether another process is done with the files.
#[cfg(feature = "git")]
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What happens if a commit is not signed by anybody who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// The command fails.
    Fails,
    /// It goes on with the last commit that was good, if there is one.
    GoesOn,
}

/// The files of a repository elsewhere: ours alone as long as this lives. Empty where none was named.
#[derive(Debug, Default)]
pub struct Files {
    /// The commit that is wanted and was refused. That has been said.
    pub refused: Option<String>,
    #[cfg(feature = "git")]
    _files: Option<CheckedOut>,
}

/// How fetching ends a command: what is wrong has been said.
#[derive(Debug)]
pub struct Unfetched {
    /// The exit of the command.
    pub exit: Exit,
    /// The commit that was refused, if that is why.
    pub refused: Option<String>,
}

impl From<Exit> for Unfetched {
    fn from(exit: Exit) -> Self {
        Unfetched { exit, refused: None }
    }
}

impl From<Unfetched> for Exit {
    fn from(unfetched: Unfetched) -> Self {
        unfetched.exit
    }
}

/// Fetches the repository, if one was named, and makes its files those of the request.
///
/// # Errors
/// The exit of the command.
#[cfg(feature = "git")]
pub async fn fetch(selecting: &Selecting, request: &mut Request, unsigned: Unsigned) -> Result<Files, Unfetched> {
    let GitArgs { url: Some(url), branch, git_tag, subdir, submodules, signers } = &selecting.git else {
        return Ok(Files::default());
    };
    if selecting.path.is_some() && request.selection.overlay.entrypoint.is_none() {
        return Err(wrong_usage(
            "`--git` takes the files from elsewhere: name the directory with `--subdir`, not as PATH",
        )
        .into());
    }
    let wanted = match (branch, git_tag, &selecting.rev) {
        (Some(branch), _, _) => Wanted::Branch(branch.clone()),
        (_, Some(tag), _) => Wanted::Tag(tag.clone()),
        (_, _, Some(commit)) => Wanted::Commit(commit.clone()),
        (None, None, None) => Wanted::Default,
    };
    let access = Access::new(|name| std::env::var(name).ok());
    let access = access.map_err(|sentence| super::exit::failed(&sentence))?;
    let cache = crate::local::cache_dir(|name| std::env::var(name).ok());
    let told = |error: SourceError| pass::failed(&PassError::Source(error));
    let signers = Signers::read(signers).map_err(|sentence| super::exit::failed(&sentence))?;
    let remote = Remote::new(url, wanted, subdir.as_deref().unwrap_or_default(), &cache, access).map_err(told)?;
    let pinned = signers.is_some();
    let remote = if *submodules { remote.with_submodules() } else { remote }.signed_by(signers);
    let mut files = match patiently(&remote, request).await {
        Ok(files) => files,
        Err(error) => {
            let refused = match &error {
                PassError::Source(SourceError::Unsigned { commit, .. }) => Some(commit.clone()),
                _ => None,
            };
            return Err(Unfetched { exit: pass::failed(&error), refused });
        }
    };
    let refused = files.refused.take().map(|refused| (pass::failed(&PassError::Source(refused.error)), refused.commit));
    if let (Some((exit, commit)), Unsigned::Fails) = (&refused, unsigned) {
        return Err(Unfetched { exit: *exit, refused: Some(commit.clone()) });
    }
    request.path.clone_from(&files.dir);
    (request.cloned, request.pinned, request.submodules) = (true, pinned, *submodules);
    Ok(Files { refused: refused.map(|(_, commit)| commit), _files: Some(files) })
}

/// Waits for another process that has the same files in its hands.
#[cfg(feature = "git")]
async fn patiently(remote: &Remote, request: &Request) -> Result<CheckedOut, PassError> {
    let mut said = false;
    loop {
        let mine = remote.clone();
        let fetched = tokio::task::spawn_blocking(move || mine.check_out());
        let fetched = tokio::select! {
            fetched = fetched => fetched.unwrap_or_else(|gone| std::panic::resume_unwind(gone.into_panic())),
            () = request.stop.cancelled() => return Err(PassError::Interrupted),
        };
        if let Some(files) = fetched? {
            return Ok(files);
        }
        if !said {
            (request.say)(&format!("waiting for another process that works with {}", remote.origin()));
            said = true;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = request.stop.cancelled() => return Err(PassError::Interrupted),
        }
    }
}

/// Built without git: nothing can be fetched.
///
/// # Errors
/// If a repository was named.
#[cfg(not(feature = "git"))]
pub async fn fetch(selecting: &Selecting, _request: &mut Request, _unsigned: Unsigned) -> Result<Files, Unfetched> {
    match selecting.git.url {
        Some(_) => Err(wrong_usage("this reconcile was built without git: it knows no `--git`").into()),
        None => Ok(Files::default()),
    }
}
