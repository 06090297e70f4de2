//! `Control`: the line between a worker and the engines it started: what they conclude, what they are asked to do.
//!
//! Prefect 3.8.8 `runner/_control_channel.py` and `_internal/control_listener.py`: an engine connects to a port of
//! 127.0.0.1 that its environment names, shows its token, says at the end what it told the server, and can be told
//! that its end is a cancellation. One listener serves all runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// So long may a process take to show its token.
const TOKEN_PATIENCE: Duration = Duration::from_secs(5);
/// So long may an engine take to confirm what it was asked.
const ACK_PATIENCE: Duration = Duration::from_secs(1);
/// The longest receipt that an engine may send, in bytes.
const LONGEST_RECEIPT: u32 = 4096;
/// A token is so many characters.
const TOKEN: usize = 32;
/// So an engine says which version it speaks: nought, `PF`, version, abilities.
const HELLO: [u8; 3] = [0, b'P', b'F'];
const VERSION: u8 = 2;
const RECEIPTS: u8 = 1;
const RECEIPT: u8 = 1;
const RECEIVED: u8 = 2;
const CONFIRMED: u8 = b'a';
/// The engine is to end because its run is cancelled.
const CANCEL: u8 = b'c';

/// The line to all engines of this worker.
pub struct Control {
    port: u16,
    attempts: Arc<Attempts>,
    listening: JoinHandle<()>,
}

/// Attempts by run, and runs by token.
#[derive(Default)]
struct Attempts(Mutex<BTreeMap<String, Attempt>>);

#[derive(Default)]
struct Attempt {
    token: String,
    /// Whether the engine or we have said how this ends: then its exit code says nothing.
    concluded: bool,
    /// To the engine, while it is connected.
    asks: Option<mpsc::UnboundedSender<Ask>>,
}

/// A question to the engine, and who wants to know whether it heard.
type Ask = (u8, oneshot::Sender<()>);

impl Attempts {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conclude(&self, run: &str) {
        if let Some(attempt) = self.all().get_mut(run) {
            attempt.concluded = true;
        }
    }

    /// The run whose token this is; a token serves once.
    fn redeem(&self, token: &str, asks: mpsc::UnboundedSender<Ask>) -> Option<String> {
        let mut all = self.all();
        let (run, attempt) = all.iter_mut().find(|(_, attempt)| !token.is_empty() && attempt.token == token)?;
        attempt.token.clear();
        attempt.asks = Some(asks);
        Some(run.clone())
    }
}

impl Control {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// If there is none.
    pub async fn listen() -> std::io::Result<Control> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let attempts = Arc::new(Attempts::default());
        let serving = attempts.clone();
        let listening = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(serve(stream, serving.clone()))),
                    // Too many open files, for instance: that passes.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Ok(Control { port, attempts, listening })
    }

    /// Expects an engine for a run: the port and the token that its environment names.
    pub fn expect(&self, run: &str) -> (u16, String) {
        let token = uuid::Uuid::new_v4().simple().to_string();
        self.attempts.all().insert(run.to_owned(), Attempt { token: token.clone(), ..Attempt::default() });
        (self.port, token)
    }

    /// Whether it was said how the run's attempt ends.
    pub fn is_concluded(&self, run: &str) -> bool {
        self.attempts.all().get(run).is_some_and(|attempt| attempt.concluded)
    }

    /// Tells the engine that its run is cancelled; true if it heard.
    pub async fn ask_to_cancel(&self, run: &str) -> bool {
        let (confirm, confirmed) = oneshot::channel();
        let asks = {
            let all = self.attempts.all();
            all.get(run).filter(|attempt| !attempt.concluded).and_then(|attempt| attempt.asks.clone())
        };
        let sent = asks.is_some_and(|asks| asks.send((CANCEL, confirm)).is_ok());
        sent && matches!(tokio::time::timeout(ACK_PATIENCE, confirmed).await, Ok(Ok(())))
    }

    /// Expects nothing any more from the engine of a run.
    pub fn forget(&self, run: &str) {
        self.attempts.all().remove(run);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(stream: TcpStream, attempts: Arc<Attempts>) {
    let (mut from, to) = stream.into_split();
    let (asks, asked) = mpsc::unbounded_channel();
    let Ok(Some(token)) = tokio::time::timeout(TOKEN_PATIENCE, token(&mut from)).await else { return };
    let Some(run) = attempts.redeem(&token, asks) else { return };
    talk(&run, from, to, asked, &attempts).await;
    if let Some(attempt) = attempts.all().get_mut(&run) {
        attempt.asks = None;
    }
}

async fn token(from: &mut OwnedReadHalf) -> Option<String> {
    let mut line = [0; TOKEN + 1];
    from.read_exact(&mut line).await.ok()?;
    let text = std::str::from_utf8(&line).ok()?;
    text.strip_suffix('\n').map(str::to_owned)
}

/// Until the engine hangs up, or says what makes no sense.
async fn talk(
    run: &str,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut asked: mpsc::UnboundedReceiver<Ask>,
    attempts: &Attempts,
) {
    let mut waiting: Option<oneshot::Sender<()>> = None;
    loop {
        let byte = tokio::select! {
            byte = from.read_u8() => match byte { Ok(byte) => byte, Err(_) => return },
            Some((what, confirm)) = asked.recv() => {
                waiting = Some(confirm);
                if to.write_all(&[what]).await.is_err() { return }
                continue;
            }
        };
        let fine = match byte {
            0 => greet(&mut from, &mut to).await,
            RECEIPT => receipt(run, &mut from, &mut to, attempts).await,
            CONFIRMED => match waiting.take() {
                Some(confirm) => {
                    attempts.conclude(run);
                    let _ = confirm.send(());
                    Some(())
                }
                None => None,
            },
            _ => None,
        };
        if fine.is_none() {
            return;
        }
    }
}

/// Agrees on the version with receipts, if the engine has it, else on the first.
async fn greet(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> Option<()> {
    let mut rest = [0; 4];
    from.read_exact(&mut rest).await.ok()?;
    if rest[..2] != HELLO[1..] {
        return None;
    }
    let (version, abilities) = if rest[2] >= VERSION && rest[3] & RECEIPTS != 0 { (VERSION, RECEIPTS) } else { (1, 0) };
    to.write_all(&[HELLO[0], HELLO[1], HELLO[2], version, abilities]).await.ok()
}

/// What the engine told the server. Whatever it was, it is the engine's word, and the exit code is not asked.
async fn receipt(run: &str, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, attempts: &Attempts) -> Option<()> {
    let length = from.read_u32().await.ok().filter(|length| *length <= LONGEST_RECEIPT)?;
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    from.read_exact(&mut bytes).await.ok()?;
    let said: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    if !matches!(said["disposition"].as_str(), Some("STATE_REPORTED" | "ORCHESTRATION_ABORTED")) {
        return None;
    }
    attempts.conclude(run);
    to.write_all(&[RECEIVED]).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn engine(control: &Control, run: &str) -> TcpStream {
        let (port, token) = control.expect(run);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        stream.write_all(format!("{token}\n").as_bytes()).await.expect("it reads");
        stream.write_all(&[0, b'P', b'F', 2, 1]).await.expect("it reads");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.expect("it answers");
        assert_eq!(answer, [0, b'P', b'F', 2, 1]);
        stream
    }

    #[tokio::test]
    async fn a_receipt_concludes_an_attempt() {
        let control = Control::listen().await.expect("a port");
        let mut stream = engine(&control, "r").await;
        assert!(!control.is_concluded("r"));
        let said = br#"{"disposition":"ORCHESTRATION_ABORTED"}"#;
        stream.write_all(&[1, 0, 0, 0, u8::try_from(said.len()).expect("short")]).await.expect("it reads");
        stream.write_all(said).await.expect("it reads");
        assert_eq!(stream.read_u8().await.expect("it answers"), 2);
        assert!(control.is_concluded("r") && !control.ask_to_cancel("r").await);
        control.forget("r");
        assert!(!control.is_concluded("r"));
    }

    #[tokio::test]
    async fn a_cancellation_that_was_heard_concludes_it_too() {
        let control = Control::listen().await.expect("a port");
        assert!(!control.ask_to_cancel("r").await);
        let mut stream = engine(&control, "r").await;
        let hearing = async {
            assert_eq!(stream.read_u8().await.expect("it asks"), b'c');
            stream.write_all(b"a").await.expect("it reads");
        };
        let (heard, ()) = tokio::join!(control.ask_to_cancel("r"), hearing);
        assert!(heard && control.is_concluded("r"));
    }

    #[tokio::test]
    async fn strangers_and_nonsense_are_hung_up_on() {
        let control = Control::listen().await.expect("a port");
        let (port, token) = control.expect("r");
        for words in
            [format!("{}\n", "0".repeat(32)), "short\n".to_owned(), format!("{token}\n\u{1}\u{7f}{}", "x".repeat(9))]
        {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
            stream.write_all(words.as_bytes()).await.expect("it reads");
            stream.shutdown().await.expect("it is there");
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(rest.is_empty());
        }
        assert!(!control.is_concluded("r"));
    }
}
