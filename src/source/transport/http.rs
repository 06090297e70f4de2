//! Git's smart protocol over HTTP(S): one question for the references, then one for each step of a fetch.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use url::Url;

use super::{Access, Credentials};
use crate::diagnostic::root_cause;

const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";

/// A connection to one repository.
pub(super) struct Http(Arc<Connection>);

struct Connection {
    access: Access,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where the repository really is: the first question may have been redirected.
    base: Option<Url>,
    /// What the server took.
    credentials: Credentials,
}

impl Http {
    pub fn new(access: Access) -> Http {
        let state = State { base: None, credentials: access.credentials.clone() };
        Http(Arc::new(Connection { access, state: Mutex::new(state) }))
    }
}

impl SmartSubtransport for Http {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let answer = match action {
            Service::UploadPackLs => Some(self.0.references(url).map_err(|error| Error::from_str(&error))?),
            Service::UploadPack => None,
            Service::ReceivePackLs | Service::ReceivePack => return Err(Error::from_str("nothing is ever pushed")),
        };
        let connection = Arc::clone(&self.0);
        Ok(Box::new(Exchange { connection, question: Vec::new(), answer, rest: Vec::new(), at: 0 }))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks which references there are, and learns where the repository is and what it wants to know of us.
    fn references(&self, url: &str) -> Result<Response, String> {
        let given = Url::parse(url).map_err(|error| error.to_string())?;
        let mut asked = given.clone();
        asked.set_path(&format!("{}/info/refs", given.path().trim_end_matches('/')));
        asked.set_query(Some("service=git-upload-pack"));
        let ask = |credentials: &Credentials| {
            let request = self.access.client.get(asked.clone()).header(ACCEPT, "*/*");
            self.send(with(credentials, request))
        };
        let mut credentials = self.state().credentials.clone();
        let mut answer = ask(&credentials)?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && credentials.header().is_none()
            && let Some(found) = Credentials::of_helper(&given)
        {
            credentials = found;
            answer = ask(&credentials)?;
        }
        self.check(&answer, credentials.header().is_some(), ADVERTISEMENT)?;
        let mut base = answer.url().clone();
        base.set_query(None);
        let path =
            base.path().strip_suffix("/info/refs").ok_or("it leads to something that is no repository")?.to_owned();
        base.set_path(&path);
        let mut state = self.state();
        // Whoever it was redirected to is not whom the credentials are for.
        let same = base.host() == given.host() && base.port_or_known_default() == given.port_or_known_default();
        state.credentials = if same { credentials } else { Credentials::default() };
        state.base = Some(base);
        Ok(answer)
    }

    /// Sends one step of a fetch.
    fn fetch(&self, question: Vec<u8>) -> Result<Response, String> {
        let (base, credentials) = {
            let state = self.state();
            (state.base.clone().ok_or("there is no connection")?, state.credentials.clone())
        };
        let mut url = base;
        url.set_path(&format!("{}/git-upload-pack", url.path()));
        let request = self.access.client.post(url).header(CONTENT_TYPE, REQUEST).header(ACCEPT, RESULT).body(question);
        let answer = self.send(with(&credentials, request))?;
        self.check(&answer, credentials.header().is_some(), RESULT)?;
        Ok(answer)
    }

    fn send(&self, request: RequestBuilder) -> Result<Response, String> {
        self.access.runtime.block_on(request.send()).map_err(|error| root_cause(&error))
    }

    fn check(&self, answer: &Response, known: bool, wanted: &str) -> Result<(), String> {
        let found = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match answer.status() {
            StatusCode::UNAUTHORIZED if known => Err("the server refuses the credentials".to_owned()),
            StatusCode::UNAUTHORIZED => Err("the server asks for credentials".to_owned()),
            StatusCode::FORBIDDEN => Err("the server forbids it (HTTP 403)".to_owned()),
            StatusCode::NOT_FOUND if known => Err("there is no such repository (HTTP 404)".to_owned()),
            StatusCode::NOT_FOUND => Err("there is no such repository, or it wants credentials (HTTP 404)".to_owned()),
            status if !status.is_success() => Err(format!("the server answers HTTP {}", status.as_u16())),
            _ if found != wanted => Err("what answers is no git server that speaks its smart protocol".to_owned()),
            _ => Ok(()),
        }
    }
}

fn with(credentials: &Credentials, request: RequestBuilder) -> RequestBuilder {
    match credentials.header() {
        Some(header) => request.header(AUTHORIZATION, header.clone()),
        None => request,
    }
}

/// One question and its answer.
struct Exchange {
    connection: Arc<Connection>,
    question: Vec<u8>,
    answer: Option<Response>,
    /// What has arrived, and how much of it was read.
    rest: Vec<u8>,
    at: usize,
}

impl Write for Exchange {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.question.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.answer.is_none() {
            let question = std::mem::take(&mut self.question);
            self.answer = Some(self.connection.fetch(question).map_err(io::Error::other)?);
        }
        while self.at == self.rest.len() {
            let Some(answer) = &mut self.answer else { return Ok(0) };
            let next = self.connection.access.runtime.block_on(answer.chunk());
            match next.map_err(|error| io::Error::other(root_cause(&error)))? {
                Some(bytes) => (self.rest, self.at) = (bytes.to_vec(), 0),
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.rest.len() - self.at);
        into[..length].copy_from_slice(&self.rest[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
