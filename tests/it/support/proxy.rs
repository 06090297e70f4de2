//! `Proxy`: stands in front of a server, remembers every request, and misbehaves when told to.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One request that passed, in order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// With the query: `/api/deployments/filter`.
    pub path: String,
    pub body: String,
    /// What the client was told; 0 while there is no answer, and when it was cut off.
    pub status: u16,
    /// How many writes were on their way when it arrived, itself included; signs of life of a lock do not count.
    pub at_once: usize,
}

impl Request {
    /// Whether it can change the server: not GET or HEAD, and not a POST that only asks.
    pub fn is_write(&self) -> bool {
        const QUESTIONS: [&str; 6] = ["filter", "paginate", "count", "get_scheduled_flow_runs", "count-by", "validate"];
        let path = self.path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let last = path.rsplit('/').next().unwrap_or_default();
        match self.method.as_str() {
            "GET" | "HEAD" | "OPTIONS" => false,
            "POST" => !QUESTIONS.contains(&last),
            _ => true,
        }
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes through.
    Pass,
    /// It does not reach the server; this is the answer.
    Answer(u16, String),
    /// It does not reach the server; the connection is closed.
    CutBefore,
    /// The same, with one more header: `retry-after: 1`.
    AnswerWith(u16, String, String),
    /// It reaches the server; the connection is closed before the answer.
    CutAfter,
    /// It reaches the server; the connection is closed in the middle of the answer.
    CutAmid,
    /// It does not reach the server; the client waits until it goes away.
    HoldBefore,
    /// It reaches the server; the client waits until it goes away. The log has the answer's status then.
    HoldAfter,
    /// It goes through, and the connection seems to stay open: it is closed when the client uses it again.
    DropLater,
    /// It goes through after so long.
    Slow(Duration),
    /// It goes through with another body.
    Instead(String),
    /// It goes through; the clock of the answer is so many seconds ahead.
    Shift(i64),
    /// It goes through; the answer does not say what time it is.
    Timeless,
    /// It reaches the server; this is the answer all the same, as of a gateway that has lost its patience.
    AnswerAfter(u16, String),
    /// It does not reach the server; the connection is reset.
    ResetBefore,
    /// It reaches the server; the connection is reset in the middle of the answer.
    ResetAmid,
    /// It reaches the server; after half of the answer the client waits until it goes away.
    HoldAmid,
}

type Rule = Box<dyn Fn(&Request) -> Verdict + Send + Sync>;

/// A proxy; it listens until the test process ends.
pub struct Proxy {
    /// Use this instead of the server's URL.
    pub url: String,
    house: Arc<House>,
}

struct House {
    upstream: Mutex<String>,
    seen: Mutex<Vec<Request>>,
    flying: Mutex<usize>,
    rule: Mutex<Rule>,
}

impl Proxy {
    /// Stands in front of `url`, `http://HOST:PORT/PATH`.
    pub fn in_front_of(url: &str) -> Proxy {
        Proxy::at("127.0.0.1", url)
    }

    /// The same, on another address of this machine.
    pub fn at(address: &str, url: &str) -> Proxy {
        let (upstream, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let listener = TcpListener::bind((address, 0)).unwrap();
        let url = format!("http://{}/{path}", listener.local_addr().unwrap());
        let rule: Rule = Box::new(|_| Verdict::Pass);
        let house = Arc::new(House {
            upstream: Mutex::new(upstream.to_owned()),
            seen: Mutex::default(),
            flying: Mutex::default(),
            rule: Mutex::new(rule),
        });
        let inside = house.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let house = inside.clone();
                // a client that goes away is its own affair
                thread::spawn(move || house.serve(stream));
            }
        });
        Proxy { url, house }
    }

    /// From now on `rule` decides about every request.
    pub fn rule(&self, rule: impl Fn(&Request) -> Verdict + Send + Sync + 'static) {
        *self.house.rule.lock().unwrap() = Box::new(rule);
    }

    /// From now on requests go to the API at `url`.
    pub fn moves_to(&self, url: &str) {
        let (upstream, _) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        *self.house.upstream.lock().unwrap() = upstream.to_owned();
    }

    /// Every request since the start or the last `reset`.
    pub fn requests(&self) -> Vec<Request> {
        self.house.seen.lock().unwrap().clone()
    }

    /// Those that can change the server.
    pub fn writes(&self) -> Vec<Request> {
        self.requests().into_iter().filter(Request::is_write).collect()
    }

    /// Forgets what was seen.
    pub fn reset(&self) {
        self.house.seen.lock().unwrap().clear();
    }
}

impl House {
    /// One connection, one request: every answer closes it.
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let Some(head) = Head::read(&mut reader)? else { return Ok(()) };
        let body = head.body(&mut reader)?;
        let (method, path) = (head.method().to_owned(), head.path().to_owned());
        let text = String::from_utf8_lossy(&body).into_owned();
        let mut request = Request { method, path, body: text, status: 0, at_once: 0 };
        let flight = Flight::of(self, &request);
        request.at_once = flight.as_ref().map_or(0, |flight| flight.at_once);
        let number = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        let verdict = (self.rule.lock().unwrap())(&request);
        match verdict {
            Verdict::CutBefore => client.shutdown(Shutdown::Both),
            Verdict::Answer(status, text) => {
                self.note(number, &request, status);
                drop(flight);
                tell(&client, status, "", &text)
            }
            Verdict::AnswerWith(status, header, text) => {
                self.note(number, &request, status);
                drop(flight);
                tell(&client, status, &format!("{header}\r\n"), &text)
            }
            Verdict::HoldBefore => until_gone(&mut reader),
            _ if head.has("upgrade") => {
                // The lock is not kept: a web socket lives long, and everything else goes upstream meanwhile.
                let upstream = self.upstream.lock().unwrap().clone();
                tunnel(head, reader, client, &upstream)
            }
            Verdict::Pass | Verdict::Slow(_) => {
                if let Verdict::Slow(length) = verdict {
                    thread::sleep(length);
                }
                let answer = self.forward(&head, &body)?;
                self.note(number, &request, status(&answer));
                drop(flight);
                (&client).write_all(&answer)
            }
            Verdict::AnswerAfter(status, text) => {
                self.forward(&head, &body)?;
                self.note(number, &request, status);
                drop(flight);
                tell(&client, status, "", &text)
            }
            Verdict::ResetBefore => reset(client),
            Verdict::ResetAmid => {
                (&client).write_all(half(&self.forward(&head, &body)?))?;
                // Else the reset overtakes what was written.
                thread::sleep(Duration::from_millis(20));
                reset(client)
            }
            Verdict::HoldAmid => {
                let answer = self.forward(&head, &body)?;
                self.note(number, &request, status(&answer));
                (&client).write_all(half(&answer))?;
                until_gone(&mut reader)
            }
            Verdict::Instead(body) => {
                let answer = self.forward(&head, body.as_bytes())?;
                self.note(number, &request, status(&answer));
                (&client).write_all(&answer)
            }
            Verdict::CutAfter => {
                self.forward(&head, &body)?;
                client.shutdown(Shutdown::Both)
            }
            Verdict::CutAmid => {
                (&client).write_all(half(&self.forward(&head, &body)?))?;
                client.shutdown(Shutdown::Both)
            }
            Verdict::HoldAfter => {
                let answer = self.forward(&head, &body)?;
                self.note(number, &request, status(&answer));
                until_gone(&mut reader)
            }
            Verdict::DropLater => {
                let answer = self.forward(&head, &body)?;
                self.note(number, &request, status(&answer));
                drop(flight);
                (&client).write_all(&rewritten(&answer, |line| match is_header(line, "connection") {
                    true => None,
                    false => Some(line.to_owned()),
                }))?;
                let _ = reader.fill_buf();
                client.shutdown(Shutdown::Both)
            }
            Verdict::Shift(_) | Verdict::Timeless => {
                let answer = self.forward(&head, &body)?;
                self.note(number, &request, status(&answer));
                drop(flight);
                (&client).write_all(&rewritten(&answer, |line| match (is_header(line, "date"), &verdict) {
                    (true, Verdict::Shift(seconds)) => Some(format!("date: {}", shifted(&line[5..], *seconds))),
                    (true, _) => None,
                    (false, _) => Some(line.to_owned()),
                }))
            }
        }
    }

    fn forward(&self, head: &Head, body: &[u8]) -> io::Result<Vec<u8>> {
        let upstream = self.upstream.lock().unwrap().clone();
        let mut server = TcpStream::connect(upstream)?;
        server.write_all(head.closing(body.len()).as_bytes())?;
        server.write_all(body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }

    /// The log may have been reset meanwhile: then there is nothing to note.
    fn note(&self, number: usize, request: &Request, status: u16) {
        if let Some(noted) = self.seen.lock().unwrap().get_mut(number).filter(|seen| *seen == request) {
            noted.status = status;
        }
    }
}

/// A write on its way, until it is dropped: before its answer leaves, for the next one may follow at once.
struct Flight<'a> {
    house: &'a House,
    at_once: usize,
}

impl<'a> Flight<'a> {
    fn of(house: &'a House, request: &Request) -> Option<Flight<'a>> {
        let is_beat = request.method == "PATCH" && request.body.contains("\"beat\"");
        (request.is_write() && !is_beat).then(|| {
            let mut flying = house.flying.lock().unwrap();
            *flying += 1;
            Flight { house, at_once: *flying }
        })
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        *self.house.flying.lock().unwrap() -= 1;
    }
}

/// An answer as far as the middle of its body; of one without a body, as far as the middle of its head.
fn half(answer: &[u8]) -> &[u8] {
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    let body = if body == answer.len() { 0 } else { body };
    &answer[..body + (answer.len() - body) / 2]
}

/// Closes a connection such that the other side sees it reset.
fn reset(client: TcpStream) -> io::Result<()> {
    // The other handle on it is dropped with the thread, which ends here.
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO))
}

/// The request line and the headers.
struct Head(Vec<String>);

impl Head {
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" => return Ok(Some(Head(lines))),
                line => lines.push(line.to_owned()),
            }
        }
    }

    fn method(&self) -> &str {
        self.0[0].split(' ').next().unwrap_or_default()
    }

    fn path(&self) -> &str {
        self.0[0].split(' ').nth(1).unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0[1..].iter().filter_map(|line| line.split_once(':'));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn has(&self, name: &str) -> bool {
        self.header(name).is_some()
    }

    fn body(&self, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return chunks(reader);
        }
        let length = self.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(body)
    }

    /// The head as it goes on: one request per connection, a body of known length.
    fn closing(&self, length: usize) -> String {
        const OURS: [&str; 4] = ["connection", "content-length", "transfer-encoding", "keep-alive"];
        let ours = |line: &&String| {
            let key = line.split(':').next().unwrap_or_default();
            !OURS.iter().any(|name| key.eq_ignore_ascii_case(name))
        };
        let kept: String = self.0.iter().filter(ours).map(|line| format!("{line}\r\n")).collect();
        format!("{kept}connection: close\r\ncontent-length: {length}\r\n\r\n")
    }
}

fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = line.trim().split(';').next().unwrap_or_default();
        let size =
            usize::from_str_radix(size, 16).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut chunk = vec![0; size + 2]; // and its line end
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// A web socket: bytes go both ways until one side ends.
fn tunnel(head: Head, mut reader: BufReader<TcpStream>, client: TcpStream, upstream: &str) -> io::Result<()> {
    let server = TcpStream::connect(upstream)?;
    write!(&server, "{}\r\n\r\n", head.0.join("\r\n"))?;
    let back = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut &back.0, &mut &back.1);
        let _ = back.1.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut reader, &mut &server);
    server.shutdown(Shutdown::Both)
}

fn tell(mut client: &TcpStream, status: u16, header: &str, text: &str) -> io::Result<()> {
    let length = text.len();
    let head = format!("HTTP/1.1 {status} Told\r\nconnection: close\r\ncontent-length: {length}\r\n{header}");
    write!(client, "{head}content-type: application/json\r\n\r\n{text}")
}

fn until_gone(reader: &mut impl Read) -> io::Result<()> {
    io::copy(reader, &mut io::sink()).map(drop)
}

fn is_header(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
}

/// An answer with other headers.
fn rewritten(answer: &[u8], line: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]);
    let lines: Vec<String> = head.split("\r\n").filter_map(line).collect();
    [lines.join("\r\n").as_bytes(), &answer[end..]].concat()
}

fn shifted(date: &str, seconds: i64) -> String {
    let date = jiff::fmt::rfc2822::parse(date.trim()).unwrap().timestamp() + jiff::SignedDuration::from_secs(seconds);
    date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn status(answer: &[u8]) -> u16 {
    let line = String::from_utf8_lossy(answer.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
