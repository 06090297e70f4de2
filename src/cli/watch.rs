//! `reconcile --watch`: one pass after another, until asked to stop.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::apply::{Apply, Ended, one_pass};
use super::args::{Bare, Global, LogFormat, WatchArgs};
use super::commit_status::{self, Said};
use super::exit::{Exit, failed, wrong_usage};
use super::saying::Saying;
use super::{last_words, output, pass};
use crate::forge::{State, Status};
use crate::notify::{self, News, Target};
use crate::reconcile::serve::{self, Board, Keys, Noted, Verdict};
use crate::reconcile::watch::{self, Turn, Waker};
use crate::report::{Report, text};
use crate::source::{Events, git};

/// How long to sleep unless told otherwise.
const INTERVAL: Duration = Duration::from_secs(60);
/// A pass that takes longer is told of while it is under way.
const LONG: Duration = Duration::from_secs(10);
/// What takes so much longer than the interval, or than runs may be waited for, is no good sign. Builds take minutes.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Runs until asked to stop.
pub async fn run(global: &Global, bare: Bare, stop: CancellationToken) -> Exit {
    run_and_tell(global, bare, stop, None).await
}

/// The same; `in_sync` hears of the first pass after which everything is as it should be.
pub async fn run_and_tell(
    global: &Global,
    bare: Bare,
    stop: CancellationToken,
    mut in_sync: Option<oneshot::Sender<()>>,
) -> Exit {
    let args = bare.watch.clone();
    let apply = Apply::of_watch(bare.clone());
    let path = match pass::request(global, apply.selecting(), stop.clone()) {
        Ok(request) => Some(pass::directory(&request)).filter(|_| apply.selecting().git.url.is_none()),
        Err(sentence) => return wrong_usage(&sentence),
    };
    let told = secret(args.notify_file.as_ref(), "RECONCILE_NOTIFY").map(Option::unwrap_or_default);
    let targets = match told.and_then(|text| notify::targets(&text).map_err(|sentence| wrong_usage(&sentence))) {
        Ok(targets) => targets,
        Err(exit) => return exit,
    };
    let (waker, woken) = Waker::new();
    let globals = each_environment(global);
    let interval = args.interval.unwrap_or(INTERVAL);
    let patience = PATIENCE.saturating_add(interval.max(bare.drain.unwrap_or_default()));
    let boards: Vec<(String, Board)> =
        globals.iter().map(|global| (global.env.clone().unwrap_or_default(), Board::new(patience))).collect();
    let _served = match listen(&args, &boards, &waker).await {
        Ok(served) => served,
        Err(exit) => return exit,
    };
    let _hangups = Ends::of(waker.clone().on_hangup());
    let _events = path.as_ref().and_then(|path| files(path, &waker));
    let mut all = Vec::new();
    for (global, (_, board)) in globals.into_iter().zip(boards) {
        let commit_status = match args.commit_status.then(commit_status::saying).transpose() {
            Ok(commit_status) => commit_status,
            Err(exit) => return exit,
        };
        all.push(Watching {
            global,
            apply: Apply::of_watch(bare.clone()),
            board,
            stop: stop.clone(),
            path: path.as_deref(),
            waits_for: None,
            slept: false,
            told: targets.iter().cloned().map(telling).collect(),
            commit_status,
            scope: None,
            verdict: None,
            complaints: Vec::new(),
            in_sync: in_sync.take(),
        });
    }
    watch::run(interval, woken, &stop, async |retry| one_after_another(&mut all, retry).await).await;
    let farewells = all.into_iter().map(|Watching { told, commit_status, .. }| async move {
        let statuses = commit_status.into_iter().map(Saying::end);
        tokio::join!(join_all(statuses), join_all(told.into_iter().map(Saying::end)))
    });
    join_all(farewells).await;
    Exit::Done
}

/// The flags of each loop: one for every environment that is named.
fn each_environment(global: &Global) -> Vec<Global> {
    let of = |env: Option<String>| Global { env, ..global.clone() };
    match global.envs.as_slice() {
        [] | [_] => vec![of(global.env.clone())],
        several => several.iter().map(|env| of(Some(env.clone()))).collect(),
    }
}

/// A pass for each environment: what one comes to is no matter of the others.
async fn one_after_another(all: &mut [Watching<'_>], retry: Duration) -> Turn {
    let mut worst = Turn::Settled;
    for one in all {
        if !one.stop.is_cancelled() {
            worst = worst.max(one.turn(retry).await);
        }
    }
    worst
}

/// Ends a task when dropped.
pub struct Ends(AbortHandle);

impl Ends {
    /// Begins it.
    pub fn of(task: impl Future<Output = ()> + Send + 'static) -> Ends {
        Ends(tokio::spawn(task).abort_handle())
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves the status page, if an address was given.
async fn listen(args: &WatchArgs, boards: &[(String, Board)], waker: &Waker) -> Result<Option<Ends>, Exit> {
    let Some(address) = args.listen else { return Ok(None) };
    let keys = Keys {
        token: secret(args.token_file.as_ref(), "RECONCILE_TOKEN")?,
        webhook_secret: secret(args.webhook_secret_file.as_ref(), "RECONCILE_WEBHOOK_SECRET")?,
    };
    let taken = |error: std::io::Error| failed(&format!("nothing can be served at {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    output::say(&format!("the status page is at http://{address}/"));
    let serving = serve::run(listener, boards.to_vec(), waker.clone(), keys);
    Ok(Some(Ends::of(serving)))
}

/// A secret of a file or else of the environment. An empty one would let everybody in.
fn secret(file: Option<&PathBuf>, variable: &str) -> Result<Option<String>, Exit> {
    let (text, from) = match file {
        Some(file) => match std::fs::read_to_string(file) {
            Ok(text) => (text, file.display().to_string()),
            Err(error) => return Err(failed(&format!("{} cannot be read: {error}", file.display()))),
        },
        None => match std::env::var(variable) {
            Ok(text) => (text, variable.to_owned()),
            Err(_) => return Ok(None),
        },
    };
    match text.trim() {
        "" => Err(wrong_usage(&format!("the secret of {from} is empty"))),
        text => Ok(Some(text.to_owned())),
    }
}

/// Watches the files. Where that cannot be done the interval has to do.
fn files(path: &Path, waker: &Waker) -> Option<Events> {
    let waker = waker.clone();
    match Events::watch(path, move || waker.wake()) {
        Ok(events) => Some(events),
        Err(sentence) => {
            output::say(&format!("{sentence}; they are found when the interval is over"));
            None
        }
    }
}

/// Tells a target of changes of state. Nobody waits for it: a pass does not depend on who hears of it.
fn telling(target: Target) -> Saying<News> {
    let say = move |news: News| {
        let target = target.clone();
        async move {
            let told = notify::tell(&target, &news).await;
            told.inspect_err(|sentence| tracing::warn!("{target} was not told: {sentence}")).is_ok()
        }
    };
    Saying::new(|told, news| told.state == news.state, say)
}

struct Watching<'a> {
    global: Global,
    apply: Apply,
    board: Board,
    stop: CancellationToken,
    /// The directory, if it is one of this machine.
    path: Option<&'a Path>,
    /// What git was in the middle of when we last looked.
    waits_for: Option<&'static str>,
    /// Whether the last turn was left out.
    slept: bool,
    /// Those who are told when the state changes.
    told: Vec<Saying<News>>,
    /// Says on commits how they stand.
    commit_status: Option<Saying<Said>>,
    /// The scope, as far as it is known.
    scope: Option<String>,
    /// How the last pass ended.
    verdict: Option<Verdict>,
    /// What was complained of then: it is not said again.
    complaints: Vec<String>,
    /// Who waits for the first good end.
    in_sync: Option<oneshot::Sender<()>>,
}

impl Watching<'_> {
    async fn turn(&mut self, retry: Duration) -> Turn {
        if self.is_suspended() {
            self.waits_for = None;
            self.board.waiting(None);
            return Turn::Settled;
        }
        if self.must_wait() {
            return Turn::TooEarly;
        }
        last_words::begin(self.complaints.clone());
        let (began, clock) = (Timestamp::now(), Instant::now());
        let ended = self.pass(began).await;
        if ended.known.too_early {
            self.board.waiting(None);
            return Turn::TooEarly;
        }
        self.complaints = last_words::complaints();
        if let Some(owed) = last_words::owed(ended.exit).filter(|_| self.global.json) {
            output::result(&owed.to_string());
        }
        if self.stop.is_cancelled() && ended.exit == Exit::Interrupted {
            return Turn::Settled;
        }
        if let Some(waits) = &ended.known.waits {
            // Whoever has the lock is at work on the same: how ours stood still holds, and is no news.
            self.board.waiting(Some(waits));
            self.board.found_locked(ended.known.commit(), &ended.known.answers(), began);
            self.tell(&ended, waits.clone(), Some(retry));
            return Turn::Failed;
        }
        let verdict = match ended.exit {
            Exit::Done | Exit::Pending => Verdict::InSync,
            Exit::Invalid => Verdict::Invalid,
            Exit::Partly => Verdict::Partly,
            Exit::Failed | Exit::Stale | Exit::Usage | Exit::Interrupted => Verdict::Failed,
        };
        // Only other files can help those that are invalid.
        let again = matches!(verdict, Verdict::Failed | Verdict::Partly);
        let verdict = match (&ended.known.refused, verdict) {
            // What is in is an earlier commit, and nothing but another one can help.
            (Some(_), Verdict::InSync) => Verdict::Failed,
            (Some(_) | None, verdict) => verdict,
        };
        let failure = last_words::failure().filter(|_| verdict == Verdict::Failed || verdict == Verdict::Partly);
        self.board.note(&Noted {
            verdict,
            report: ended.report.as_ref(),
            failure,
            began,
            took: clock.elapsed(),
            commit: ended.known.commit(),
            answers: ended.known.answers(),
        });
        let words = words(&ended);
        if let Some(waits) = self.in_sync.take_if(|_| verdict == Verdict::InSync) {
            let _ = waits.send(());
        }
        self.spread(verdict, &ended, &words);
        self.state(verdict, &ended, &words);
        self.tell(&ended, words, again.then_some(retry));
        match (again, ended.known.built) {
            (true, _) => Turn::Failed,
            (false, true) => Turn::Built,
            (false, false) => Turn::Settled,
        }
    }

    /// One pass. The board hears of it before its end if that takes long.
    async fn pass(&self, began: Timestamp) -> Ended {
        let mut pass = pin!(one_pass(&self.global, &self.apply, None, &self.stop));
        match tokio::time::timeout(LONG, &mut pass).await {
            Ok(ended) => ended,
            Err(_) => {
                self.board.takes_its_time(began);
                pass.await
            }
        }
    }

    fn is_suspended(&mut self) -> bool {
        let before = std::mem::replace(&mut self.slept, self.board.is_suspended());
        match (before, self.slept) {
            (false, true) => self.line("suspended: nothing is done until it is resumed", self.scope.as_deref(), None),
            (true, false) => self.line("resumed", self.scope.as_deref(), None),
            (true, true) | (false, false) => {}
        }
        self.slept
    }

    /// Whether git is in the middle of something: then the files are those of no commit that anybody means.
    fn must_wait(&mut self) -> bool {
        let found = self.path.and_then(git::under_way);
        if found != self.waits_for {
            self.board.waiting(found.map(|what| format!("{what} of git is under way")).as_deref());
            if let Some(what) = found {
                self.line(&format!("waiting until {what} of git is through"), None, None);
            }
        }
        self.waits_for = found;
        found.is_some()
    }

    /// Tells people, if the state is another one than after the pass before. A good beginning is no news.
    fn spread(&mut self, verdict: Verdict, ended: &Ended, words: &str) {
        if let Some(report) = &ended.report {
            self.scope = Some(report.scope.clone());
        }
        let before = self.verdict.replace(verdict);
        if before == Some(verdict) || (before.is_none() && verdict == Verdict::InSync) {
            return;
        }
        let news = News {
            scope: self.scope.clone().unwrap_or_else(|| "reconcile".to_owned()),
            state: verdict.word().to_owned(),
            before: before.map(|before| before.word().to_owned()),
            commit: ended.known.refused.clone().or_else(|| ended.report.as_ref()?.source.commit.clone()),
            summary: words.to_owned(),
        };
        self.told.iter().for_each(|target| target.say(news.clone()));
    }

    /// Says on the commit how it stands. Files that differ from it say nothing of it.
    fn state(&self, verdict: Verdict, ended: &Ended, words: &str) {
        let (Some(commit_status), Some(scope)) = (&self.commit_status, &self.scope) else { return };
        let clean = |report: &Report| report.source.commit.clone().filter(|_| !report.source.dirty);
        let Some(commit) = ended.known.refused.clone().or_else(|| ended.report.as_ref().and_then(clean)) else {
            return;
        };
        let state = if verdict == Verdict::InSync { State::Success } else { State::Failure };
        let context = format!("reconcile/{}", text::printable(scope));
        let status = Status { state, context, words: text::printable(words), link: None };
        commit_status.say(Said { verdict, commit, status });
    }

    fn tell(&self, ended: &Ended, mut words: String, retry: Option<Duration>) {
        if let Some(retry) = retry {
            words.push_str(&format!("; trying again in {} s", retry.as_secs()));
        }
        let report = ended.report.as_ref();
        let commit = report.and_then(|report| report.source.commit.as_deref());
        self.line(&words, report.map(|report| report.scope.as_str()), commit);
    }

    /// One line on stderr, for people or for machines.
    fn line(&self, words: &str, scope: Option<&str>, commit: Option<&str>) {
        match self.global.log_format {
            LogFormat::Json => tracing::info!(target: "reconcile::watch", scope, commit, "{words}"),
            LogFormat::Text if self.global.quiet => {}
            LogFormat::Text => {
                let of = scope.map(|scope| format!("{}{}  ", text::printable(scope), at(commit))).unwrap_or_default();
                output::say(&format!("{}  {of}{words}", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ")));
            }
        }
    }
}

/// A pass in one line.
fn words(ended: &Ended) -> String {
    match &ended.report {
        Some(report) if ended.known.refused.is_none() => text::line(report),
        Some(_) | None => last_words::failure().map_or_else(|| "failed".to_owned(), |failure| failure.message),
    }
}

/// `@3f2c1a9`
fn at(commit: Option<&str>) -> String {
    commit.map(|commit| format!("@{}", commit.get(..7).unwrap_or(commit))).unwrap_or_default()
}
