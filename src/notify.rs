//! Tells people that the state of a loop changed: by a webhook of their own, in Slack, in Microsoft Teams.
//!
//! What is sent says what a line of the loop says. Addresses are secrets (who knows one may write there): they come
//! from a file or the environment, and are never printed.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The waits between attempts.
const WAITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// Who is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    form: Form,
    url: Url,
}

/// What a message looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Webhook,
    Slack,
    Teams,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.form {
            Form::Webhook => "the webhook",
            Form::Slack => "Slack",
            Form::Teams => "Teams",
        };
        write!(f, "{form} at {}", self.url.host_str().unwrap_or_default())
    }
}

/// A change of state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The scope, if it is known.
    pub scope: String,
    /// The state now, and before: `in_sync`, `partly`, `failed`, `invalid`.
    pub state: String,
    /// None at the beginning.
    pub before: Option<String>,
    /// The commit, if it is known.
    pub commit: Option<String>,
    /// What the loop says of the pass.
    pub summary: String,
}

/// Reads targets, one a line: `webhook URL`, `slack URL`, `teams URL`. Empty lines and `#` count for nothing.
///
/// # Errors
/// One sentence that names the line, and not what stands in it.
pub fn targets(text: &str) -> Result<Vec<Target>, String> {
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(n, line)| target(n, line)).collect()
}

fn target(number: usize, line: &str) -> Result<Target, String> {
    let wrong = |what: &str| format!("line {number} of the targets of notifications {what}");
    let (form, url) = line.split_once(char::is_whitespace).ok_or_else(|| wrong("is not a word and an address"))?;
    let form = match form {
        "webhook" => Form::Webhook,
        "slack" => Form::Slack,
        "teams" => Form::Teams,
        _ => return Err(wrong("begins with none of `webhook`, `slack`, `teams`")),
    };
    let url = Url::parse(url.trim()).map_err(|_| wrong("holds no address"))?;
    match url.scheme() {
        "http" | "https" => Ok(Target { form, url }),
        _ => Err(wrong("holds an address that is neither http nor https")),
    }
}

/// Tells one target. It is tried three times.
///
/// # Errors
/// One sentence about the last attempt.
pub async fn tell(target: &Target, news: &News) -> Result<(), String> {
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    let client = client.build().map_err(|error| format!("no connection can be made: {error}"))?;
    let body = body(target.form, news);
    let mut waits = WAITS.into_iter();
    loop {
        let failure = match client.post(target.url.clone()).json(&body).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => format!("it answers HTTP {}", answer.status().as_u16()),
            // The error itself would name the address.
            Err(error) if error.is_timeout() => "it does not answer in time".to_owned(),
            Err(_) => "it cannot be reached".to_owned(),
        };
        match waits.next() {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(failure),
        }
    }
}

fn body(form: Form, news: &News) -> Value {
    match form {
        Form::Webhook => json!({
            "scope": news.scope, "state": news.state, "before": news.before, "commit": news.commit,
            "summary": news.summary,
        }),
        // The escapes of Slack's own markup.
        Form::Slack => {
            json!({"text": line(news).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")})
        }
        Form::Teams => json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line(news)}]}],
                },
            }],
        }),
    }
}

/// `shop is in sync at 3f2c1a9 again: Applied: 1 applied, …`
fn line(news: &News) -> String {
    let state = match news.state.as_str() {
        "in_sync" => "is in sync",
        "partly" => "is partly applied",
        "invalid" => "has invalid files",
        _ => "could not be reconciled",
    };
    let commit = news.commit.as_deref().map(|commit| format!(" at {}", commit.get(..7).unwrap_or(commit)));
    format!("{} {state}{}: {}", news.scope, commit.unwrap_or_default(), news.summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_never_shown() {
        let all =
            targets("# people\nslack https://hooks.example.org/canary\n\nwebhook http://x/canary\n").expect("good");
        assert_eq!(format!("{all:?}"), "[Target(Slack at hooks.example.org), Target(the webhook at x)]");
        for bad in ["https://x/canary", "slack canary", "mail https://x/canary", "teams ftp://x/canary"] {
            let error = targets(bad).expect_err(bad);
            assert!(error.contains("line 1") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_message_is_text_and_no_markup() {
        let news = News {
            scope: "shop <!channel>".to_owned(),
            state: "failed".to_owned(),
            commit: Some("3f2c1a9d0".to_owned()),
            summary: "no & never".to_owned(),
            ..News::default()
        };
        let text = "shop &lt;!channel&gt; could not be reconciled at 3f2c1a9: no &amp; never";
        assert_eq!(body(Form::Slack, &news), json!({"text": text}));
        assert_eq!(body(Form::Webhook, &news)["state"], "failed");
        assert!(body(Form::Teams, &news).to_string().contains("3f2c1a9: no & never"));
    }
}
