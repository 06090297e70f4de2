//! Watching a container: what it prints, how it ends. An engine that is away is waited for.
//!
//! prefect-docker 0.7.4 `worker.py` (`_watch_container`). Other than there, a lost connection is made again, and what
//! was shown already is not shown again.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::ContainerState;
use bollard::query_parameters::{LogsOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use tokio::io::AsyncWriteExt;

use super::host::Engine;
use super::launch::{said, status};

/// Between two attempts at an engine that is away.
const PAUSE: Duration = Duration::from_secs(1);
/// So long the last of what a container has printed may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// So often a container is looked at although the engine tells nothing of its end.
const LOOK: Duration = Duration::from_secs(60);

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit code; none if nobody can know it any more.
    pub code: Option<i32>,
    /// What the engine has to say about that.
    pub remark: Option<String>,
}

/// Where what it prints goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Nowhere,
    Stdout,
    Stderr,
}

/// A container to watch.
pub(super) struct Watching<'a> {
    pub engine: &'a Engine,
    pub id: &'a str,
    pub name: &'a str,
    pub output: Output,
    /// What was printed before is not shown.
    pub since: Timestamp,
    /// Is told each status that is new.
    pub news: &'a (dyn Fn(&str) + Send + Sync),
    /// Talks to people.
    pub say: &'a (dyn Fn(&str) + Send + Sync),
}

/// What is known of a container at one time.
enum Look {
    Runs,
    Ended(Ended),
    Gone,
    Away,
}

impl Watching<'_> {
    /// Waits for the end.
    pub async fn until_ended(mut self) -> Ended {
        let mut status = String::new();
        let mut told: Option<i32> = None;
        loop {
            match self.look(&mut status, told).await {
                Look::Ended(ended) => {
                    self.show_the_rest().await;
                    return ended;
                }
                Look::Gone => {
                    (self.say)(&format!("Docker container '{}' was removed before its end was seen.", self.name));
                    return Ended { code: told, remark: None };
                }
                Look::Away => tokio::time::sleep(PAUSE).await,
                Look::Runs => told = self.attend().await.or(told),
            }
        }
    }

    async fn look(&self, last: &mut String, told: Option<i32>) -> Look {
        let found = match self.engine.client.inspect_container(self.id, None).await {
            Ok(found) => found,
            Err(error) if status(&error) == Some(404) || is_missing(&error) => return Look::Gone,
            Err(error) => {
                tracing::info!(
                    container = self.id,
                    error = said(self.engine, &error),
                    "a container cannot be looked at"
                );
                return Look::Away;
            }
        };
        let state = found.state.unwrap_or_default();
        let status = state.status.map(|status| status.to_string()).unwrap_or_default();
        if status != *last {
            (self.say)(&format!("Docker container '{}' has status '{status}'", self.name));
            (self.news)(&status);
            last.clone_from(&status);
        }
        match status.as_str() {
            "exited" | "dead" => Look::Ended(ended(&state)),
            // It is about to be removed; what was told of its end is all there will be.
            "removing" if told.is_some() => Look::Ended(Ended { code: told, remark: None }),
            // Its worker died between its creation and its start: nothing of it has run.
            "created" => {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                let _ = self.engine.client.remove_container(self.id, Some(options)).await;
                Look::Ended(Ended { code: None, remark: None })
            }
            _ => Look::Runs,
        }
    }

    /// Shows what it prints until it ends, or until the connection is lost; the exit code if that was told.
    async fn attend(&mut self) -> Option<i32> {
        let waits = wait(self.engine, self.id);
        tokio::pin!(waits);
        if self.output == Output::Nowhere {
            return tokio::time::timeout(LOOK, waits).await.ok().flatten();
        }
        let mut since = self.since;
        let (shown, code) = {
            let shows = self.show(&mut since, true);
            tokio::pin!(shows);
            tokio::select! {
                shown = &mut shows => (shown, None),
                code = &mut waits => {
                    let _ = tokio::time::timeout(FAREWELL, &mut shows).await;
                    (Ok(()), Some(code))
                }
            }
        };
        self.since = since;
        if let Err(error) = shown
            && status(&error).is_some_and(|status| status != 404)
        {
            (self.say)(&format!("What '{}' prints cannot be shown: {}", self.name, said(self.engine, &error)));
            self.output = Output::Nowhere;
        }
        match code {
            Some(code) => code,
            // Nothing more is shown: it has ended, closed its outputs, or the engine is away.
            None => tokio::time::timeout(PAUSE, waits).await.ok().flatten(),
        }
    }

    /// Shows what was printed before anybody could watch.
    async fn show_the_rest(&self) {
        let mut since = self.since;
        if self.output != Output::Nowhere {
            let _ = tokio::time::timeout(FAREWELL, self.show(&mut since, false)).await;
        }
    }

    /// Shows what it prints from a time on, and notes how far it came; with `follow`, until it ends.
    async fn show(&self, since: &mut Timestamp, follow: bool) -> Result<(), Error> {
        let seconds = i32::try_from(since.as_second()).unwrap_or(i32::MAX);
        let options = LogsOptionsBuilder::default().follow(follow).stdout(true).stderr(true).timestamps(true);
        let lines = self.engine.client.logs(self.id, Some(options.since(seconds).build()));
        show_all(lines, self.output, since).await
    }
}

/// An engine that is not Docker's may say it in another way.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.to_lowercase().contains("no such container"))
}

fn ended(state: &ContainerState) -> Ended {
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
    let said = state.error.as_deref().filter(|error| !error.is_empty());
    let remark = match (state.oom_killed, code) {
        (_, Some(0)) => None,
        (Some(true), _) => Some("The container ran out of memory: raise `mem_limit`.".to_owned()),
        (Some(false), Some(137)) => Some("The engine knows of no lack of memory: somebody killed it.".to_owned()),
        _ => said.map(|error| format!("The engine says: {error}.")),
    };
    Ended { code, remark }
}

/// The exit code as soon as the engine tells it; none if the connection is lost.
async fn wait(engine: &Engine, id: &str) -> Option<i32> {
    let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
    let mut answers = engine.client.wait_container(id, Some(options));
    // One answer is all there is; what comes after an error repeats it.
    let code = match answers.next().await? {
        Ok(answer) => answer.status_code,
        Err(Error::DockerContainerWaitError { code, .. }) => code,
        Err(error) => {
            tracing::info!(container = id, error = said(engine, &error), "the end of a container is not told");
            tokio::time::sleep(PAUSE).await;
            return None;
        }
    };
    i32::try_from(code).ok()
}

async fn show_all(
    lines: impl Stream<Item = Result<LogOutput, Error>>,
    output: Output,
    since: &mut Timestamp,
) -> Result<(), Error> {
    tokio::pin!(lines);
    // The first seconds are asked for again after an interruption: what was shown is known by its time.
    let shown = *since;
    while let Some(line) = lines.next().await {
        let bytes = line?.into_bytes();
        let (time, text) = taken_apart(&bytes);
        if time.is_some_and(|time| time <= shown) {
            continue;
        }
        *since = time.unwrap_or(*since).max(*since);
        let written = match output {
            Output::Stdout => write(tokio::io::stdout(), text).await,
            Output::Stderr => write(tokio::io::stderr(), text).await,
            Output::Nowhere => Ok(()),
        };
        if written.is_err() {
            break;
        }
    }
    Ok(())
}

async fn write(mut to: impl tokio::io::AsyncWrite + Unpin, text: &[u8]) -> std::io::Result<()> {
    to.write_all(text).await?;
    to.flush().await
}

/// A line that begins with its time.
fn taken_apart(line: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let Some(at) = line.iter().take(40).position(|byte| *byte == b' ') else { return (None, line) };
    let time = std::str::from_utf8(&line[..at]).ok().and_then(|time| time.parse::<Timestamp>().ok());
    match time {
        Some(time) => (Some(time), &line[at + 1..]),
        None => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_by_their_times() {
        let (time, text) = taken_apart(b"2026-11-21T10:00:00.123456789Z hello there\n");
        assert_eq!((time.map(|time| time.as_second()), text), (Some(1_795_255_200), b"hello there\n".as_slice()));
        assert_eq!(taken_apart(b"no time at all"), (None, b"no time at all".as_slice()));
        assert_eq!(taken_apart(b""), (None, b"".as_slice()));
    }

    #[test]
    fn a_lack_of_memory_is_told_apart() {
        let state = |code, out_of_memory| ContainerState {
            exit_code: Some(code),
            oom_killed: Some(out_of_memory),
            ..ContainerState::default()
        };
        let remark = |code, out| ended(&state(code, out)).remark.unwrap_or_default();
        assert!(remark(137, true).contains("out of memory") && remark(1, true).contains("out of memory"));
        assert!(remark(137, false).contains("somebody killed it"));
        assert_eq!((remark(0, true), remark(3, false)), (String::new(), String::new()));
    }
}
