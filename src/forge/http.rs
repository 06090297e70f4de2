//! `Client`: sends one request to a forge until it is answered for good.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::Value;

pub(super) use reqwest::Method;

use super::{ForgeError, Place, Which};
use crate::diagnostic::root_cause;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a request is sent again.
pub(super) const MOST_RETRIES: u32 = 4;
/// The wait before the first repetition; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A forge that asks for more patience than this is told no.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// No answer is larger, in bytes: a page of the longest notes is a tenth of it on GitHub.
const LARGEST_ANSWER: usize = 128 * 1024 * 1024;

/// A client of one forge.
pub(super) struct Client {
    http: reqwest::Client,
    place: Place,
}

/// Waits before repetition `attempt`, from 1.
pub(super) async fn pause(attempt: u32) {
    tokio::time::sleep(FIRST_WAIT * (1 << attempt.min(6).saturating_sub(1))).await;
}

/// What an attempt came to.
enum Came {
    Answer(Value, HeaderMap),
    /// To be tried again, after so long if the forge says so.
    Again(ForgeError, Option<Duration>),
}

impl Client {
    pub fn new(place: &Place) -> Result<Client, ForgeError> {
        // Fails only when one was installed already, which then is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert(place.token.name.clone(), place.token.value.clone());
        if place.which == Which::GitHub {
            headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
            headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("reconcile/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .timeout(PATIENCE)
            // A redirect could carry the token to somebody else.
            .redirect(reqwest::redirect::Policy::none());
        if place.api.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| ForgeError::Setup { problem: error.to_string() })?;
        Ok(Client { http, place: place.clone() })
    }

    /// All rows of a listing, up to so many pages.
    pub async fn rows(&self, path: &str, pages: usize, rows: usize) -> Result<Vec<Value>, ForgeError> {
        let mut found = Vec::new();
        for page in 1..=pages {
            let path = format!("{path}?per_page={rows}&page={page}");
            let (answer, headers) = self.answer(Method::GET, &path, None).await?;
            let Value::Array(mut some) = answer else {
                return Err(ForgeError::Strange { what: format!("GET {path}") });
            };
            let none = some.is_empty();
            found.append(&mut some);
            // Pages may be shorter than asked for: the forge says whether there is another one.
            if none || !has_next(&headers) {
                break;
            }
        }
        Ok(found)
    }

    /// Sends a request. One that makes something is not sent again once it may have been read.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ForgeError> {
        self.answer(method, path, body).await.map(|(answer, _)| answer)
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(Value, HeaderMap), ForgeError> {
        let mut attempt = 0;
        loop {
            match self.attempt(&method, path, body).await? {
                Came::Answer(answer, headers) => return Ok((answer, headers)),
                Came::Again(error, _) if attempt == MOST_RETRIES || (method == Method::POST && error.is_open()) => {
                    return Err(error);
                }
                Came::Again(error, Some(wait)) if wait > LONGEST_WAIT => return Err(error),
                Came::Again(_, wait) => {
                    attempt += 1;
                    match wait {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => pause(attempt).await,
                    }
                }
            }
        }
    }

    async fn attempt(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Came, ForgeError> {
        let what = format!("{method} {}", path.split('?').next().unwrap_or_default());
        let url = self.place.api.join(path).map_err(|_| ForgeError::Strange { what: what.clone() })?;
        let mut request = self.http.request(method.clone(), url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: &reqwest::Error| ForgeError::Unreachable {
            which: self.place.which,
            host: self.place.api.host_str().unwrap_or_default().to_owned(),
            problem: if error.is_timeout() { "it does not answer in time".to_owned() } else { root_cause(error) },
            open: !error.is_connect(),
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Ok(Came::Again(unreachable(&error), None)),
        };
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = match limited(answer).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(ForgeError::Strange { what }),
            Err(error) => return Ok(Came::Again(unreachable(&error), None)),
        };
        let json = serde_json::from_slice::<Value>(&bytes).ok();
        if (200..300).contains(&status) {
            return json.map(|json| Came::Answer(json, headers)).ok_or(ForgeError::Strange { what });
        }
        let reason = reason(json.as_ref());
        let slow = status == 429 || (status == 403 && is_rate_limit(&headers, &reason));
        let error = ForgeError::Refused { which: self.place.which, what, status, reason };
        match slow || matches!(status, 408 | 500..=599) {
            true => Ok(Came::Again(error, asked(&headers))),
            false => Err(error),
        }
    }
}

/// The body, unless it is larger than any that we ask for.
async fn limited(mut answer: reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > LARGEST_ANSWER {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// GitHub links the next page, GitLab numbers it.
fn has_next(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text("link").contains("rel=\"next\"") || !text("x-next-page").is_empty()
}

/// GitHub says 403 to who is too fast as well as to who may not.
fn is_rate_limit(headers: &HeaderMap, reason: &str) -> bool {
    let spent = headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
    spent || headers.contains_key(RETRY_AFTER) || reason.contains("rate limit")
}

fn asked(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What the forge says of a refusal, as one line.
fn reason(json: Option<&Value>) -> String {
    let said = json.map(|json| match (&json["message"], &json["error"]) {
        (Value::String(text), _) | (Value::Null, Value::String(text)) => text.clone(),
        (Value::Null, Value::Null) => String::new(),
        (Value::Null, other) | (other, _) => other.to_string(),
    });
    let line = said.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().take(300).filter(|c| !c.is_control()).collect::<String>() {
        line if line.is_empty() => "no reason was given".to_owned(),
        line => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_is_one_line() {
        assert_eq!(reason(Some(&json!({"message": "Not\n  Found"}))), "Not Found");
        assert_eq!(reason(Some(&json!({"error": "insufficient_scope"}))), "insufficient_scope");
        assert_eq!(reason(Some(&json!({"message": {"body": ["is too long"]}}))), r#"{"body":["is too long"]}"#);
        assert_eq!(reason(Some(&json!([]))), "no reason was given");
        assert_eq!(reason(None), "no reason was given");
    }

    #[test]
    fn both_ways_to_speak_of_another_page_are_understood() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(reqwest::header::HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        assert!(has_next(&headers("link", "<http://x?page=2>; rel=\"next\", <http://x?page=9>; rel=\"last\"")));
        assert!(!has_next(&headers("link", "<http://x?page=1>; rel=\"prev\"")));
        assert!(has_next(&headers("x-next-page", "2")) && !has_next(&headers("x-next-page", "")));
        assert!(is_rate_limit(&headers("x-ratelimit-remaining", "0"), "") && !is_rate_limit(&HeaderMap::new(), "no"));
    }
}
