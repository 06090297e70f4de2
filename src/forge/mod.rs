//! GitHub and GitLab, as far as a plan is talked about there: notes on a pull request, which one brought a commit, and
//! the state of a commit.
//!
//! Both are spoken to with the same few nouns: a *request* is a pull request or a merge request, a *note* a comment on
//! it. Only this room knows their paths.

mod error;
mod http;
mod place;
mod sticky;

use serde_json::{Value, json};

pub use error::{ForgeError, Misplaced};
pub use place::{Place, Which};
pub use sticky::{Marker, digest_in};

use http::{Client, Method};

/// No request has more pages of notes that are looked at; a page has 100.
const MOST_PAGES: usize = 100;
/// Rows on a page: the most that both give.
const ROWS: usize = 100;

/// A forge, a repository there, and the right to speak.
pub struct Forge {
    client: Client,
    place: Place,
}

/// A comment on a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Note {
    id: u64,
    body: String,
    /// Who wrote it, as the forge names them.
    author: String,
    /// Whether a program wrote it. People cannot have such an account.
    by_bot: bool,
}

/// Whose notes are ours.
enum Us {
    /// Those of this account.
    Named(String),
    /// The token stands for a program and may not ask for which one: those of programs.
    SomeBot,
}

impl Us {
    fn wrote(&self, note: &Note) -> bool {
        match self {
            Us::Named(name) => note.author == *name,
            Us::SomeBot => note.by_bot,
        }
    }
}

/// What a commit is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All is well.
    Success,
    /// It is not.
    Failure,
    /// It is not known yet.
    Pending,
}

/// The state of a commit, as one line under its name.
#[derive(Clone, Debug)]
pub struct Status {
    /// The state.
    pub state: State,
    /// By what name this line is found again.
    pub context: String,
    /// One sentence; the forges cut it after 140 characters.
    pub words: String,
    /// Where more is to be read.
    pub link: Option<String>,
}

impl Forge {
    /// Speaks for the job that runs here.
    ///
    /// # Errors
    /// No encrypted connection can be made.
    pub fn new(place: Place) -> Result<Forge, ForgeError> {
        Ok(Forge { client: Client::new(&place)?, place })
    }

    /// Where we are.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The most that a note may hold, in UTF-16 units: the forges say characters.
    pub fn longest_note(&self) -> usize {
        match self.place.which {
            Which::GitHub => 65_536,
            Which::GitLab => 1_000_000,
        }
    }

    /// The merged requests that brought a commit, newest first.
    ///
    /// # Errors
    /// See [`ForgeError`].
    pub async fn requests_of(&self, commit: &str) -> Result<Vec<u64>, ForgeError> {
        let (path, number) = match self.place.which {
            Which::GitHub => (format!("commits/{commit}/pulls"), "number"),
            Which::GitLab => (format!("repository/commits/{commit}/merge_requests"), "iid"),
        };
        let rows = self.client.rows(&self.path(&path), 1, ROWS).await?;
        let merged = |row: &&Value| row["merged_at"].is_string() || row["state"] == "merged";
        let mut found: Vec<u64> = rows.iter().filter(merged).filter_map(|row| row[number].as_u64()).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    /// The text of our note with a marker on a request, if there is one.
    ///
    /// # Errors
    /// See [`ForgeError`].
    pub async fn find(&self, request: u64, marker: &Marker) -> Result<Option<String>, ForgeError> {
        Ok(self.ours(request, marker).await?.map(|note| note.body))
    }

    /// Makes the note with a marker say this, in place if it is there. What others wrote is never touched, whatever it
    /// begins with. Gives the address of the note.
    ///
    /// # Errors
    /// See [`ForgeError`].
    pub async fn stick(&self, request: u64, marker: &Marker, body: &str) -> Result<String, ForgeError> {
        let mut attempt = 0;
        loop {
            match self.put(request, marker, body).await {
                // It may be there by now: the next attempt looks first.
                Err(error) if error.is_open() && attempt < http::MOST_RETRIES => {
                    attempt += 1;
                    http::pause(attempt).await;
                }
                other => return other,
            }
        }
    }

    /// Says how a commit stands.
    ///
    /// # Errors
    /// See [`ForgeError`].
    pub async fn set_status(&self, commit: &str, status: &Status) -> Result<(), ForgeError> {
        let words: String = status.words.chars().take(140).collect();
        let state = match (status.state, self.place.which) {
            (State::Success, _) => "success",
            (State::Failure, Which::GitHub) => "failure",
            (State::Failure, Which::GitLab) => "failed",
            (State::Pending, _) => "pending",
        };
        let mut body =
            json!({"state": state, "context": status.context, "description": words, "target_url": status.link});
        if self.place.which == Which::GitLab {
            body["name"] = json!(status.context);
        }
        let path = self.path(&format!("statuses/{commit}"));
        self.client.send(Method::POST, &path, Some(&body)).await.map(drop)
    }

    async fn put(&self, request: u64, marker: &Marker, body: &str) -> Result<String, ForgeError> {
        let answer = match self.ours(request, marker).await? {
            Some(note) => {
                let (method, path) = match self.place.which {
                    Which::GitHub => (Method::PATCH, self.path(&format!("issues/comments/{}", note.id))),
                    Which::GitLab => (Method::PUT, format!("{}/{}", self.notes(request), note.id)),
                };
                self.client.send(method, &path, Some(&json!({"body": body}))).await?
            }
            None => self.client.send(Method::POST, &self.notes(request), Some(&json!({"body": body}))).await?,
        };
        Ok(self.address(request, &answer))
    }

    /// The first of our notes with a marker.
    async fn ours(&self, request: u64, marker: &Marker) -> Result<Option<Note>, ForgeError> {
        let marked = |row: &Value| self.read(row).filter(|note| marker.is_on(&note.body));
        let rows = self.client.rows(&self.notes(request), MOST_PAGES, ROWS).await?;
        let mut found: Vec<Note> = rows.iter().filter_map(marked).collect();
        if found.is_empty() {
            return Ok(None);
        }
        let us = self.us().await?;
        found.sort_by_key(|note| note.id);
        Ok(found.into_iter().find(|note| us.wrote(note)))
    }

    async fn us(&self) -> Result<Us, ForgeError> {
        let name = |row: &Value| match self.place.which {
            Which::GitHub => row["login"].as_str().map(str::to_owned),
            Which::GitLab => row["username"].as_str().map(str::to_owned),
        };
        match self.client.send(Method::GET, "user", None).await {
            Ok(row) => name(&row).map(Us::Named).ok_or_else(|| ForgeError::Strange { what: "GET user".to_owned() }),
            // The token of a job of GitHub Actions is no user's.
            Err(ForgeError::Refused { status: 401 | 403 | 404, .. }) if self.place.which == Which::GitHub => {
                Ok(Us::SomeBot)
            }
            Err(error) => Err(error),
        }
    }

    fn read(&self, row: &Value) -> Option<Note> {
        let author = match self.place.which {
            Which::GitHub => &row["user"],
            Which::GitLab => &row["author"],
        };
        Some(Note {
            id: row["id"].as_u64()?,
            body: row["body"].as_str()?.to_owned(),
            author: author["login"].as_str().or(author["username"].as_str()).unwrap_or_default().to_owned(),
            by_bot: author["type"] == "Bot",
        })
    }

    fn notes(&self, request: u64) -> String {
        match self.place.which {
            Which::GitHub => self.path(&format!("issues/{request}/comments")),
            Which::GitLab => self.path(&format!("merge_requests/{request}/notes")),
        }
    }

    fn path(&self, rest: &str) -> String {
        match self.place.which {
            Which::GitHub => format!("repos/{}/{rest}", self.place.repository),
            Which::GitLab => format!("projects/{}/{rest}", self.place.repository),
        }
    }

    /// Where people read a note.
    fn address(&self, request: u64, answer: &Value) -> String {
        match (answer["html_url"].as_str(), self.place.which) {
            (Some(address), _) => address.to_owned(),
            (None, Which::GitHub) => format!("pull request {request}"),
            (None, Which::GitLab) => format!("merge request {request}"),
        }
    }
}
