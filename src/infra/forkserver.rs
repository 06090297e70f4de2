//! `Forkserver`: one interpreter that has imported Prefect: started, asked to fork, and listened to until it ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::warm::Forked;
use crate::model::Secret;

/// The program.
const PROGRAM: &str = include_str!("../../templates/forkserver.py");
/// What it is called, in a directory of its own whose name begins so. It is read once, and locked until then.
const FILE: &str = "forkserver.py";
const DIRECTORY: &str = "reconcile-forkserver-";
/// So long an interpreter may take to import Prefect.
const WARM_UP: Duration = Duration::from_secs(60);
/// So long it may take to answer: it does nothing else.
const ANSWER: Duration = Duration::from_secs(30);
/// Such an id it has in its environment, where those that it forks put that of their run.
const NO_RUN: &str = "00000000-0000-0000-0000-000000000000";
/// So many of its last words are told, in characters.
const LAST_WORDS: usize = 300;

/// What became of an order.
pub(super) enum Answer {
    Forked(Forked),
    /// Nothing was started; if it is stale, nothing will be any more.
    Refused {
        why: String,
        stale: bool,
    },
    /// It died, and nothing was started.
    Lost,
}

/// One interpreter.
pub(super) struct Forkserver {
    orders: Mutex<Option<mpsc::UnboundedSender<String>>>,
    /// How far it is: not ready yet, ready, or over.
    phase: watch::Sender<Phase>,
    runs: Mutex<BTreeMap<String, Waiting>>,
    /// Since when it is ready.
    since: OnceLock<Instant>,
    /// It is to be killed.
    end: CancellationToken,
}

/// What is told of an interpreter.
pub(super) enum News<'a> {
    /// A process that it forked replaced itself by an ordinary one.
    Cold { run: &'a str, why: &'a str },
    /// It is no more, though it was not retired.
    Over,
}

#[derive(Clone, PartialEq)]
enum Phase {
    WarmingUp,
    Ready,
    Over(String),
}

/// Who waits for news of a run.
struct Waiting {
    answer: Option<oneshot::Sender<Answer>>,
    code: Option<oneshot::Sender<i32>>,
}

impl Forkserver {
    /// Starts one, of which `news` is told.
    pub fn start(
        program: &Path,
        environment: &BTreeMap<String, Secret>,
        to_stderr: bool,
        news: impl Fn(&Arc<Forkserver>, News<'_>) + Send + Sync + 'static,
    ) -> Arc<Forkserver> {
        let (orders, ordered) = mpsc::unbounded_channel();
        let server = Arc::new(Forkserver {
            orders: Mutex::new(Some(orders)),
            phase: watch::channel(Phase::WarmingUp).0,
            runs: Mutex::default(),
            since: OnceLock::new(),
            end: CancellationToken::new(),
        });
        let (ours, spawned) = (server.clone(), spawn(program, environment, to_stderr));
        tokio::spawn(async move {
            let why = match spawned {
                Ok((child, line, program)) => ours.attend(child, line, ordered, program, &news).await,
                Err(error) => format!("it cannot be started: {error}"),
            };
            let retired = ours.orders().take().is_none();
            ours.phase.send_replace(Phase::Over(why));
            // Whoever still waits is told by that that nothing comes any more.
            ours.runs().clear();
            if !retired {
                news(&ours, News::Over);
            }
        });
        server
    }

    fn orders(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<String>>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is warm.
    pub async fn ready(&self) -> Result<(), String> {
        let mut phase = self.phase.subscribe();
        let warm = phase.wait_for(|phase| *phase != Phase::WarmingUp);
        let phase = match tokio::time::timeout(WARM_UP, warm).await {
            Ok(Ok(phase)) => phase.clone(),
            Ok(Err(_)) | Err(_) => Phase::WarmingUp,
        };
        match phase {
            Phase::Ready => Ok(()),
            Phase::Over(why) => Err(why),
            Phase::WarmingUp => {
                self.end.cancel();
                Err("the interpreter does not get warm".to_owned())
            }
        }
    }

    /// Why it is no more.
    pub fn failure(&self) -> String {
        match &*self.phase.borrow() {
            Phase::Over(why) => why.clone(),
            Phase::WarmingUp | Phase::Ready => "nothing".to_owned(),
        }
    }

    /// How long it has been ready; none if it never was.
    pub fn lived(&self) -> Option<Duration> {
        self.since.get().map(Instant::elapsed)
    }

    /// Has it fork for a run.
    pub async fn ask(&self, run: &str, order: &Value) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        self.runs().insert(run.to_owned(), Waiting { answer: Some(answer), code: None });
        if !self.order(order) {
            self.runs().remove(run);
            return Answer::Refused { why: "the warm interpreter is being replaced".to_owned(), stale: false };
        }
        if matches!(&*self.phase.borrow(), Phase::Over(_)) {
            self.runs().remove(run);
        }
        tokio::select! {
            answer = &mut answered => return answer.unwrap_or(Answer::Lost),
            // It must not fork later: then the run would have two processes.
            () = tokio::time::sleep(ANSWER) => self.end.cancel(),
        }
        answered.await.unwrap_or(Answer::Lost)
    }

    /// It ends when nothing that it forked runs any more.
    pub fn retire(&self) {
        self.order(&json!({"retire": true}));
        self.orders().take();
    }

    /// Tells it something; false if it takes no orders any more.
    fn order(&self, order: &Value) -> bool {
        self.orders().as_ref().is_some_and(|orders| orders.send(format!("{order}\n")).is_ok())
    }

    /// Listens to it until it ends; why it did.
    async fn attend(
        self: &Arc<Self>,
        mut child: Child,
        line: UnixStream,
        mut ordered: mpsc::UnboundedReceiver<String>,
        program: Program,
        news: &(impl Fn(&Arc<Forkserver>, News<'_>) + Sync),
    ) -> String {
        let (from, mut to) = line.into_split();
        let telling = async move {
            while let Some(order) = ordered.recv().await {
                if to.write_all(order.as_bytes()).await.is_err() {
                    break;
                }
            }
            // Retired, or deaf: what it says still counts.
            std::future::pending::<()>().await;
        };
        let mut lines = BufReader::new(from).lines();
        let (mut last, mut program) = (None, Some(program));
        {
            let listening = async {
                while let Ok(Some(line)) = lines.next_line().await {
                    last = self.heard(&line, news).or(last.take());
                    // It has read its program; nothing is left of that should this worker be killed.
                    program.take_if(|_| self.since.get().is_some());
                }
            };
            tokio::pin!(listening);
            tokio::select! {
                () = &mut listening => {}
                () = telling => {}
                () = self.end.cancelled() => {
                    let _ = child.start_kill();
                    // What it had said already counts.
                    let _ = tokio::time::timeout(ANSWER, &mut listening).await;
                }
            }
        }
        let _ = child.start_kill();
        let status = child.wait().await;
        last.unwrap_or_else(|| match status {
            Ok(status) => format!("it ended with {status}"),
            Err(error) => error.to_string(),
        })
    }

    /// Takes in a line; why it cannot be of use, if it says so.
    fn heard(self: &Arc<Self>, line: &str, news: &impl Fn(&Arc<Forkserver>, News<'_>)) -> Option<String> {
        let said: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| said[key].as_str().map(|text| text.chars().take(LAST_WORDS).collect::<String>());
        if said["ready"] == true {
            let _ = self.since.set(Instant::now());
            self.phase.send_replace(Phase::Ready);
        }
        if let Some(why) = text("failed") {
            return Some(format!("it cannot be warmed up: {why}"));
        }
        let run = said["run"].as_str()?;
        let mut runs = self.runs();
        if let Some(pid) = said["pid"].as_i64() {
            let (tell, code) = oneshot::channel();
            let waiting = runs.get_mut(run)?;
            waiting.code = Some(tell);
            let forked = Forked { pid: i32::try_from(pid).unwrap_or_default(), code };
            if let Some(answer) = waiting.answer.take() {
                let _ = answer.send(Answer::Forked(forked));
            }
        } else if let Some(why) = text("no") {
            if let Some(answer) = runs.remove(run).and_then(|waiting| waiting.answer) {
                let _ = answer.send(Answer::Refused { why, stale: said["stale"] == true });
            }
        } else if let Some(code) = said["code"].as_i64()
            && let Some(tell) = runs.remove(run).and_then(|waiting| waiting.code)
        {
            let _ = tell.send(i32::try_from(code).unwrap_or(-1));
        }
        drop(runs);
        if let Some(why) = text("cold") {
            news(self, News::Cold { run, why: &why });
        }
        None
    }
}

fn spawn(
    program: &Path,
    environment: &BTreeMap<String, Secret>,
    to_stderr: bool,
) -> std::io::Result<(Child, UnixStream, Program)> {
    let places = std::env::temp_dir();
    sweep(&places);
    let program_file = Program::written(&places)?;
    let script = program_file.dir.path().join(FILE);
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::new(program);
    command.arg(&script).current_dir("/").env_clear();
    for (name, value) in environment {
        if let Some(text) = value.reveal_str() {
            command.env(name, text);
        }
    }
    command.env("PREFECT__FLOW_RUN_ID", NO_RUN);
    command.stdin(Stdio::from(OwnedFd::from(theirs)));
    if to_stderr {
        command.stdout(Stdio::from(std::io::stderr()));
    }
    command.process_group(0).kill_on_drop(true);
    Ok((command.spawn()?, UnixStream::from_std(ours)?, program_file))
}

/// The program where an interpreter reads it; removed when dropped.
struct Program {
    dir: TempDir,
    _lock: File,
}

impl Program {
    /// Writes it. It never has its name without its lock.
    fn written(places: &Path) -> std::io::Result<Program> {
        let dir = tempfile::Builder::new().prefix(DIRECTORY).tempdir_in(places)?;
        let draft = dir.path().join("draft");
        let mut file = File::create_new(&draft)?;
        file.lock()?;
        file.write_all(PROGRAM.as_bytes())?;
        fs::rename(draft, dir.path().join(FILE))?;
        Ok(Program { dir, _lock: file })
    }
}

/// Removes programs of workers that were killed before they were read: those that nobody holds a lock on.
fn sweep(places: &Path) {
    let own = rustix::process::geteuid().as_raw();
    let left = fs::read_dir(places).into_iter().flatten().flatten();
    for entry in left.filter(|entry| entry.file_name().to_string_lossy().starts_with(DIRECTORY)) {
        // Of a link, this is about the link.
        let ours = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == own);
        let program = entry.path().join(FILE);
        if ours && File::open(&program).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(program);
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dead_workers_left_is_swept() {
        let places = tempfile::tempdir().expect("a directory");
        let written = || Program::written(places.path()).expect("there is room");
        let (dead, held) = (written(), written());
        let Program { dir, _lock } = dead;
        let dead = dir.keep();
        drop(_lock);
        let other = places.path().join("somebody-elses");
        fs::create_dir(&other).expect("made");
        fs::write(other.join(FILE), PROGRAM).expect("written");
        let link = places.path().join(format!("{DIRECTORY}link"));
        std::os::unix::fs::symlink(&other, &link).expect("made");
        sweep(places.path());
        assert!(!dead.exists() && held.dir.path().join(FILE).exists() && link.exists());
        drop(held);
        assert_eq!(fs::read_dir(places.path()).expect("it is there").count(), 2);
    }
}
