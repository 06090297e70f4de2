//! `Client`: sends one request until it is answered for good.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::csrf::{self, Csrf};
use super::error::ApiError;
use super::governor::Governor;
use super::tally::{Answered, Answers, Tally};
use super::traced::{self, Peer};
use super::{Requests, answer, http, retry};
use crate::diagnostic::root_cause;
use crate::model::Connection;

/// No answer of a Prefect API comes near this many bytes.
const LARGEST_ANSWER: usize = 256 * 1024 * 1024;
/// How many reads may be on their way at once: a page keeps the server's one event loop busy.
const READS_AT_ONCE: usize = 2;

/// What happens if a request arrives twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// The same as if it had arrived once.
    Safe,
    /// Something is made twice: after a failure that leaves it open, it is not sent again.
    Unsafe,
    /// It may be wrong by then: after a failure of whatever kind it is not sent again.
    Fleeting,
}

/// Whether a write may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It may.
    Granted,
    /// It cannot be known just now.
    Unknown,
    /// It may not, and will not.
    Gone,
}

/// Who is asked for leave before each write.
pub(super) type Leash = Arc<dyn Fn() -> BoxFuture<'static, Leave> + Send + Sync>;

/// One request.
pub(super) struct Call<'a> {
    pub method: Method,
    /// Below the API's address, with a slash in front.
    pub path: &'a str,
    pub body: Option<&'a Value>,
    pub idempotency: Idempotency,
    /// The thing it is about, for messages: "the deployment `etl/nightly`".
    pub what: &'a str,
    /// Whether it goes ahead of everything that waits for its turn, and without leave.
    pub urgent: bool,
}

impl<'a> Call<'a> {
    pub fn get(path: &'a str, what: &'a str) -> Self {
        Call { method: Method::GET, path, body: None, idempotency: Idempotency::Safe, what, urgent: false }
    }

    pub fn new(method: Method, path: &'a str, what: &'a str) -> Self {
        Call { method, ..Call::get(path, what) }
    }

    pub fn body(self, body: &'a Value) -> Self {
        Call { body: Some(body), ..self }
    }

    pub fn once(self) -> Self {
        Call { idempotency: Idempotency::Unsafe, ..self }
    }

    /// What is right only as long as what was just read is true.
    pub fn fleeting(self) -> Self {
        Call { idempotency: Idempotency::Fleeting, ..self }
    }

    pub fn urgent(self) -> Self {
        Call { urgent: true, ..self }
    }

    /// Whether it changes nothing.
    fn is_read(&self) -> bool {
        let asks = ["/filter", "/paginate", "/count"].iter().any(|end| self.path.ends_with(end));
        self.method == Method::GET || (self.method == Method::POST && asks)
    }

    fn named(&self) -> String {
        format!("{} {}", self.method, self.bare_path())
    }

    fn bare_path(&self) -> &'a str {
        self.path.split('?').next().unwrap_or(self.path)
    }

    /// What is there cannot be told from what was there before.
    pub fn timeless(&self) -> ApiError {
        let because =
            "the answers of the server carry no `Date` header, so nobody can tell when it was made".to_owned();
        ApiError::Ambiguous { what: self.what.to_owned(), request: self.named(), because }
    }

    pub fn garbled(&self, problem: impl Into<String>) -> ApiError {
        ApiError::Garbled { what: self.what.to_owned(), request: self.named(), problem: problem.into() }
    }
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    /// `null` when empty.
    pub body: Value,
    /// What time it was at the server.
    pub date: Option<Timestamp>,
}

/// What came back from one attempt.
struct Raw {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

/// Why one attempt came to nothing.
struct Failed {
    because: String,
    /// Whether the request surely did not reach the server.
    unsent: bool,
    tls: bool,
    /// Whether nothing may be written any more.
    gone: bool,
}

/// What to do after one attempt.
enum Next {
    Done(Answer),
    Stop(ApiError),
    Token,
    /// Try again if that is allowed; `undone` if the server surely did nothing.
    Again {
        because: String,
        undone: bool,
        asked: Option<Duration>,
    },
}

/// The transport of one API.
pub(super) struct Client {
    connection: Connection,
    keeping: reqwest::Client,
    fresh: reqwest::Client,
    governor: Governor,
    reads: Semaphore,
    sent_reads: AtomicU64,
    sent_writes: AtomicU64,
    sent_again: AtomicU64,
    tally: Tally,
    peer: Peer,
    csrf: Csrf,
    reached: AtomicBool,
    /// How many rows a page has: 100, or what the server allows.
    pub(super) page: AtomicUsize,
    /// Ends long waits.
    pub(super) stop: OnceLock<CancellationToken>,
    /// While a lock is held: what keeps writes from going out after it was lost.
    pub(super) leash: RwLock<Option<Leash>>,
    /// Ids of the automations made here.
    pub(super) made: std::sync::Mutex<std::collections::BTreeSet<String>>,
    /// Keys of objects that were found where no answer said whether we had made them.
    pub(super) unclear: std::sync::Mutex<std::collections::BTreeSet<crate::model::Key>>,
}

impl Client {
    pub fn new(connection: Connection) -> Result<Client, ApiError> {
        let (keeping, fresh) = http::clients(&connection)?;
        Ok(Client {
            keeping,
            fresh,
            governor: Governor::new(connection.parallelism.max(1)),
            reads: Semaphore::new(READS_AT_ONCE),
            sent_reads: AtomicU64::new(0),
            sent_writes: AtomicU64::new(0),
            sent_again: AtomicU64::new(0),
            tally: Tally::default(),
            peer: Peer::of(&connection.url),
            csrf: Csrf::new(),
            reached: AtomicBool::new(false),
            page: AtomicUsize::new(100),
            stop: OnceLock::new(),
            leash: RwLock::default(),
            made: std::sync::Mutex::default(),
            unclear: std::sync::Mutex::default(),
            connection,
        })
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    pub fn requests(&self) -> Requests {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Requests { read: count(&self.sent_reads), write: count(&self.sent_writes), repeated: count(&self.sent_again) }
    }

    pub fn answers(&self) -> Answers {
        self.tally.answers()
    }

    /// Sends a request, again where that is safe and may help.
    pub async fn send(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let mut attempt = 0;
        let mut tokens = 0;
        // How many attempts failed since the program was asked to stop.
        let mut late = 0;
        // Whether a write was sent that may have arrived.
        let mut doubt = false;
        let refused = |error: ApiError, doubt| if doubt { error.after_doubt() } else { error };
        loop {
            attempt += 1;
            let next = match self.attempt(call, attempt).await {
                Ok(raw) => self.judge(call, raw),
                Err(failed) => self.lost(call, failed),
            };
            let (because, undone, asked) = match next {
                Next::Done(answer) => return Ok(answer),
                Next::Stop(error) => return Err(refused(error, doubt)),
                Next::Token if tokens < 2 => {
                    tokens += 1;
                    self.fetch_token().await?;
                    continue;
                }
                Next::Token => {
                    let error = self.denied(call, 403, "; the server takes none of its own tokens");
                    return Err(refused(error, doubt));
                }
                Next::Again { because, undone, asked } => (because, undone, asked),
            };
            let (what, request) = (call.what.to_owned(), call.named());
            if call.idempotency != Idempotency::Safe && !undone {
                return Err(ApiError::Ambiguous { what, request, because });
            }
            late += u32::from(self.is_stopping());
            let gives_up = attempt > self.connection.max_retries || late > retry::LAST_TRIES;
            if gives_up || call.idempotency == Idempotency::Fleeting {
                return Err(ApiError::Failing { what, request, attempts: attempt, because });
            }
            doubt |= !undone && !call.is_read();
            let wait = retry::delay(self.connection.retry_delay, attempt, asked);
            tracing::debug!(request, because, ?wait, "sending again");
            self.sent_again.fetch_add(1, Ordering::Relaxed);
            self.pause(wait).await;
        }
    }

    /// Waits before something is tried again. Once the program is asked to stop, that is not for long.
    pub(super) async fn pause(&self, wait: Duration) {
        let Some(stop) = self.stop.get() else { return tokio::time::sleep(wait).await };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => tokio::time::sleep(wait.min(retry::LAST_WAIT)).await,
        }
    }

    fn is_stopping(&self) -> bool {
        self.stop.get().is_some_and(CancellationToken::is_cancelled)
    }

    async fn fetch_token(&self) -> Result<(), ApiError> {
        let path = self.csrf.path();
        let call = Call::get(&path, "a token against forged requests");
        let answer = Box::pin(self.send(&call)).await?;
        if self.csrf.keep(&answer.body) { Ok(()) } else { Err(call.garbled("it holds no token")) }
    }

    async fn attempt(&self, call: &Call<'_>, attempt: u32) -> Result<Raw, Failed> {
        if call.is_read() {
            let _permit = match call.urgent {
                true => None,
                false => Some(self.reads.acquire().await.expect("the semaphore is never closed")),
            };
            self.sent_reads.fetch_add(1, Ordering::Relaxed);
            return self.counted(call, attempt).await;
        }
        let _permit = if call.urgent { None } else { Some(self.governor.permit().await) };
        if !call.urgent {
            // Now, and not before the wait for its turn: that can be long, and a process can be stopped meanwhile.
            self.leave().await?;
        }
        self.sent_writes.fetch_add(1, Ordering::Relaxed);
        let result = self.counted(call, attempt).await;
        match &result {
            Ok(raw) if matches!(raw.status, 429 | 503) => self.governor.complain(),
            Ok(raw) if raw.status < 400 => self.governor.praise(),
            Ok(_) | Err(_) => {}
        }
        result
    }

    /// One exchange, counted and traced.
    async fn counted(&self, call: &Call<'_>, attempt: u32) -> Result<Raw, Failed> {
        let span = self.peer.span(call.method.as_str(), call.bare_path(), attempt);
        let result = self.exchange(call).instrument(span.clone()).await;
        let status = result.as_ref().ok().map(|raw| raw.status);
        traced::answered(&span, status);
        self.tally.count(Answered { write: !call.is_read(), method: call.method.to_string(), status });
        result
    }

    async fn leave(&self) -> Result<(), Failed> {
        let leash = self.leash.read().unwrap_or_else(PoisonError::into_inner).clone();
        let unsent = |because: &str, gone| Failed { because: because.to_owned(), unsent: true, tls: false, gone };
        match leash {
            None => Ok(()),
            Some(leash) => match leash().await {
                Leave::Granted => Ok(()),
                Leave::Unknown => Err(unsent("it cannot be known whether the lock is still ours", false)),
                Leave::Gone => Err(unsent("the lock was lost", true)),
            },
        }
    }

    async fn exchange(&self, call: &Call<'_>) -> Result<Raw, Failed> {
        let client = match call.idempotency {
            Idempotency::Safe => &self.keeping,
            Idempotency::Unsafe | Idempotency::Fleeting => &self.fresh,
        };
        let mut request = client.request(call.method.clone(), format!("{}{}", self.connection.url, call.path));
        if call.method != Method::GET {
            for (name, value) in self.csrf.headers().into_iter().flatten() {
                request = request.header(name, value);
            }
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let started = Instant::now();
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let mut raw =
            Raw { status: response.status().as_u16(), headers: response.headers().clone(), bytes: Vec::new() };
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if raw.bytes.len() + chunk.len() > LARGEST_ANSWER {
                let because = "the answer does not end".to_owned();
                return Err(Failed { because, unsent: false, tls: false, gone: false });
            }
            raw.bytes.extend_from_slice(&chunk);
        }
        tracing::debug!(request = call.named(), status = raw.status, elapsed = ?started.elapsed(), "answered");
        Ok(raw)
    }

    /// What an answer means.
    fn judge(&self, call: &Call<'_>, raw: Raw) -> Next {
        let body = if raw.bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&raw.bytes) };
        let status = raw.status;
        if let Ok(body) = &body
            && csrf::is_demanded(status, body)
            && self.connection.csrf
            && !self.connection.is_cloud()
        {
            return Next::Token;
        }
        if matches!(status, 408 | 429 | 502 | 503 | 504) || self.connection.retry_extra_codes.contains(&status) {
            let asked = header(&raw.headers, RETRY_AFTER.as_str());
            // A date is one of the server's clock: ours may be wrong by hours.
            let now = date(&raw.headers).unwrap_or_else(Timestamp::now);
            return Next::Again {
                because: format!("the server answers {status}"),
                undone: status == 429,
                asked: asked.and_then(|text| retry::retry_after(&text, now)),
            };
        }
        let body = match body {
            Ok(body) => body,
            Err(_) if status >= 500 => Value::Null,
            Err(_) => return Next::Stop(self.stranger(call, &raw)),
        };
        match status {
            200..=299 => {
                self.reached.store(true, Ordering::Relaxed);
                Next::Done(Answer { status, body, date: date(&raw.headers) })
            }
            401 | 403 => {
                let said = answer::reason(&body, call.body);
                Next::Stop(self.denied(call, status, &format!("; the server says: {said}")))
            }
            300..=399 | 405 => Next::Stop(self.stranger(call, &raw)),
            404 if body["detail"] == "Not Found" || body.is_null() => Next::Stop(self.stranger(call, &raw)),
            500.. => Next::Stop(ApiError::Failing {
                what: call.what.to_owned(),
                request: call.named(),
                attempts: 1,
                because: format!("the server answers {status}: {}", answer::reason(&body, call.body)),
            }),
            _ => Next::Stop(ApiError::Refused {
                what: call.what.to_owned(),
                request: call.named(),
                status,
                detail: answer::reason(&body, call.body),
            }),
        }
    }

    /// What it means that no answer came.
    fn lost(&self, call: &Call<'_>, failed: Failed) -> Next {
        if failed.gone {
            return Next::Stop(ApiError::Unlocked { what: call.what.to_owned() });
        }
        let url = self.connection.url.clone();
        if failed.tls {
            return Next::Stop(ApiError::Tls { url, because: failed.because });
        }
        // A wrong address should be told at once; a server that restarts gets its time.
        if failed.unsent && !self.reached.load(Ordering::Relaxed) {
            let from = self.connection.from.clone();
            return Next::Stop(ApiError::Unreachable { url, from, because: failed.because });
        }
        Next::Again { because: failed.because, undone: failed.unsent, asked: None }
    }

    fn denied(&self, call: &Call<'_>, status: u16, detail: &str) -> ApiError {
        let sent = match (&self.connection.auth, &self.connection.key) {
            (Some(_), _) => "an auth string was sent",
            (None, Some(_)) => "an API key was sent",
            (None, None) => "neither an API key nor an auth string is set",
        };
        ApiError::Denied {
            url: self.connection.url.clone(),
            what: call.what.to_owned(),
            status,
            sent: sent.to_owned(),
            detail: detail.to_owned(),
        }
    }

    /// Somebody answered who does not speak as a Prefect API does.
    fn stranger(&self, call: &Call<'_>, raw: &Raw) -> ApiError {
        let kind = header(&raw.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let saw = if let (300..=399, Some(to)) = (raw.status, header(&raw.headers, LOCATION.as_str())) {
            format!("it redirects {} to {}", call.named(), to.split('?').next().unwrap_or_default())
        } else if kind.starts_with("text/html") {
            format!("it answers {} with a web page ({})", call.named(), raw.status)
        } else if raw.status == 404 || raw.status == 405 {
            format!("it does not know {} ({})", call.named(), raw.status)
        } else {
            format!("it answers {} with something else than JSON ({})", call.named(), raw.status)
        };
        self.not_prefect(saw)
    }

    pub fn not_prefect(&self, saw: String) -> ApiError {
        ApiError::NotPrefect { url: self.connection.url.clone(), from: self.connection.from.clone(), saw }
    }
}

/// What time it was at the server.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(&header(headers, DATE.as_str())?).ok()?.timestamp())
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn failed(error: &reqwest::Error) -> Failed {
    let cause = root_cause(error);
    let words = cause.to_lowercase();
    let tls = error.is_connect()
        && ["certificate", "tls", "handshake", "invalid peer", "corrupt message"].iter().any(|w| words.contains(w));
    let because = match () {
        () if error.is_timeout() && error.is_connect() => "no connection within the time limit".to_owned(),
        () if error.is_timeout() => "no answer within the time limit".to_owned(),
        () if cause.contains("CaUsedAsEndEntity") || cause.contains("UnknownIssuer") => {
            "no trusted authority has signed the server's certificate".to_owned()
        }
        () => cause,
    };
    Failed { because, unsent: error.is_connect() || error.is_builder(), tls, gone: false }
}
