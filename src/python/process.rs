//! The helper's process: started in a group of its own, spoken to in lines, told to end when dropped.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::protocol::{BOOTSTRAP, PROGRAM};

/// Bytes. The helper refuses answers above 32 MiB; anything longer is not from it.
const LINE_LIMIT: u64 = 80 << 20;
/// Characters of the helper's stderr that are kept for messages.
const TAIL: usize = 4096;
/// How long to wait for the end of the stderr of a helper that is gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A started helper. Dropping it ends the helper and whatever the helper runs.
pub(super) struct Process {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    stderr: ChildStderr,
    greeted: bool,
}

impl Process {
    /// Starts `python` in `cwd` with exactly the environment `env` and hands it the program.
    pub async fn start(python: &Path, cwd: &Path, env: &BTreeMap<String, String>) -> io::Result<Self> {
        let mut child = Command::new(python)
            .args(["-c", BOOTSTRAP])
            .current_dir(cwd)
            .env_clear()
            .envs(env)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut process = Process {
            requests: child.stdin.take().expect("stdin is piped"),
            answers: BufReader::new(child.stdout.take().expect("stdout is piped")),
            stderr: child.stderr.take().expect("stderr is piped"),
            child,
            greeted: false,
        };
        // A program that is not Python may end without reading; what it said tells more than the broken pipe.
        let _ = process.write(format!("{}\n{PROGRAM}", PROGRAM.len()).as_bytes()).await;
        Ok(process)
    }

    /// Waits for the first line. Imports may print much to stderr meanwhile, which must not block them.
    pub async fn greeting<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let (mut said, mut line) = (Vec::new(), Vec::new());
        let answers = &mut self.answers;
        {
            let read = async { answers.take(LINE_LIMIT).read_until(b'\n', &mut line).await };
            tokio::pin!(read);
            tokio::select! {
                _ = &mut read => {}
                () = collect(&mut self.stderr, &mut said) => {
                    let _ = read.await;
                }
            }
        }
        if let Ok(greeting) = serde_json::from_slice(&line) {
            self.greeted = true;
            return Ok(greeting);
        }
        self.listen(&mut said).await;
        Err(self.last_words(&said))
    }

    /// Takes what a helper that is ending still has to say. A child of it may hold the pipe open: no long wait.
    async fn listen(&mut self, said: &mut Vec<u8>) {
        let _ = tokio::time::timeout(LAST_WORDS, collect(&mut self.stderr, said)).await;
    }

    /// Sends one line.
    pub async fn send(&mut self, message: &impl Serialize) -> Result<(), String> {
        let mut line = serde_json::to_vec(message).map_err(|error| error.to_string())?;
        line.push(b'\n');
        self.write(&line).await.map_err(|error| error.to_string())
    }

    /// Waits for one line.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let mut line = Vec::new();
        let read = (&mut self.answers).take(LINE_LIMIT).read_until(b'\n', &mut line).await;
        match read {
            Ok(n) if n > 0 => serde_json::from_slice(&line).map_err(|error| format!("it sent something odd: {error}")),
            Ok(_) => {
                let mut said = Vec::new();
                self.listen(&mut said).await;
                Err(self.last_words(&said))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.requests.write_all(data).await?;
        self.requests.flush().await
    }

    /// What it said on stderr, or at least how it ended.
    fn last_words(&mut self, said: &[u8]) -> String {
        let said = String::from_utf8_lossy(said);
        match (said.trim(), self.child.try_wait()) {
            ("", Ok(Some(status))) => format!("it ended with {status} and said nothing"),
            ("", _) => "it said nothing".to_owned(),
            (text, _) => text.to_owned(),
        }
    }
}

/// Reads to the end, keeping the last [`TAIL`] bytes.
async fn collect(stream: &mut ChildStderr, kept: &mut Vec<u8>) {
    let mut chunk = vec![0; TAIL];
    while let Ok(n) = stream.read(&mut chunk).await
        && n > 0
    {
        kept.extend_from_slice(&chunk[..n]);
        kept.drain(..kept.len().saturating_sub(TAIL));
    }
}

/// A helper that serves ends its children itself, each with the group it leads; one that does not has none yet.
impl Drop for Process {
    fn drop(&mut self) {
        let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return };
        let _ = if self.greeted { kill_process(pid, Signal::TERM) } else { kill_process_group(pid, Signal::KILL) };
    }
}
