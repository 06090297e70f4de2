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
use crate::source::{Access, CheckedOut, Remote, SourceError, Wanted};

/// So often one looks whether another process is done with the files.
#[cfg(feature = "git")]
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Fetches the repository, if one was named, and makes its files those of the request. They are ours alone as long as
/// what is returned lives.
///
/// # Errors
/// The exit of the command: what is wrong has been said.
#[cfg(feature = "git")]
pub async fn fetch(selecting: &Selecting, request: &mut Request) -> Result<Option<CheckedOut>, Exit> {
    let GitArgs { url: Some(url), branch, git_tag, subdir } = &selecting.git else { return Ok(None) };
    if selecting.path.is_some() && request.selection.overlay.entrypoint.is_none() {
        return Err(wrong_usage(
            "`--git` takes the files from elsewhere: name the directory with `--subdir`, not as PATH",
        ));
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
    let remote = Remote::new(url, wanted, subdir.as_deref().unwrap_or_default(), &cache, access).map_err(told)?;
    let files = patiently(&remote, request).await.map_err(|error| pass::failed(&error))?;
    request.path.clone_from(&files.dir);
    request.cloned = true;
    Ok(Some(files))
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
pub async fn fetch(selecting: &Selecting, _request: &mut Request) -> Result<Option<()>, Exit> {
    match selecting.git.url {
        Some(_) => Err(wrong_usage("this reconcile was built without git: it knows no `--git`")),
        None => Ok(None),
    }
}
