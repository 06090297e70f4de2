//! Running one command: in a process group of its own, output captured and told, ended when cancelled or dropped.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::environment::Env;
use super::error::StepProblem;
use super::list::Stream;
use super::mask::{Lines, Masker};

/// Bytes of each stream that are kept as a step's output. More is told but not kept.
const CAPTURE_LIMIT: usize = 64 << 20;
/// What a cancelled command gets to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// What to start.
pub(super) struct Job<'a> {
    /// The file.
    pub program: &'a Path,
    /// The words, with the program's own name first.
    pub argv: &'a [String],
    /// Where.
    pub cwd: &'a Path,
    /// All it sees of the environment.
    pub env: &'a Env,
}

/// What happened.
pub(super) struct Outcome {
    /// Its exit code; minus the signal's number when a signal ended it.
    pub code: i32,
    /// Standard output, decoded.
    pub stdout: String,
    /// Standard error, decoded.
    pub stderr: String,
    /// Whether something was too long to keep.
    pub cut: bool,
}

/// Tells a line as it comes.
pub(super) type Tell<'a> = &'a (dyn Fn(Stream, String) + Send + Sync);

/// Runs it to its end, and until nobody holds its output any more.
pub(super) async fn run(
    job: &Job<'_>,
    masker: &Masker,
    tell: Option<Tell<'_>>,
    cancel: &CancellationToken,
) -> Result<Outcome, StepProblem> {
    let (name, arguments) = job.argv.split_first().expect("a command has at least one word");
    let mut child = Command::new(job.program)
        .arg0(name)
        .args(arguments)
        .current_dir(job.cwd)
        .env_clear()
        .envs(job.env)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| StepProblem::Start { program: masker.mask(name), reason: error.to_string() })?;
    let mut group = Group::of(&child);
    let stdout = capture(child.stdout.take().expect("stdout is piped"), Stream::Stdout, masker, tell);
    let stderr = capture(child.stderr.take().expect("stderr is piped"), Stream::Stderr, masker, tell);
    let finish = async {
        let (stdout, stderr) = tokio::join!(stdout, stderr);
        // Not before both have ended: until it is waited for, its number stands for its group and no other.
        (stdout, stderr, child.wait().await)
    };
    tokio::pin!(finish);
    let (stdout, stderr, status) = tokio::select! {
        done = &mut finish => done,
        () = cancel.cancelled() => {
            group.signal(Signal::TERM);
            let _ = tokio::time::timeout(GRACE, &mut finish).await;
            return Err(StepProblem::Cancelled);
        }
    };
    group.release();
    let status =
        status.map_err(|error| StepProblem::Start { program: masker.mask(name), reason: error.to_string() })?;
    Ok(Outcome { code: code(status), cut: stdout.1 || stderr.1, stdout: stdout.0, stderr: stderr.0 })
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|number| -number)).unwrap_or(-1)
}

async fn capture(
    mut pipe: impl AsyncRead + Unpin,
    stream: Stream,
    masker: &Masker,
    tell: Option<Tell<'_>>,
) -> (String, bool) {
    let mut lines = tell.map(|tell| Lines::new(masker, move |line| tell(stream, line)));
    let (mut kept, mut cut) = (Vec::new(), false);
    let mut chunk = vec![0; 1 << 16];
    while let Ok(n) = pipe.read(&mut chunk).await
        && n > 0
    {
        if let Some(lines) = &mut lines {
            lines.push(&chunk[..n]);
        }
        let room = CAPTURE_LIMIT - kept.len();
        cut |= n > room;
        kept.extend_from_slice(&chunk[..n.min(room)]);
    }
    if let Some(lines) = lines {
        lines.finish();
    }
    (String::from_utf8_lossy(&kept).into_owned(), cut)
}

/// The group of a command that has not been waited for; killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, signal);
        }
    }

    fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
