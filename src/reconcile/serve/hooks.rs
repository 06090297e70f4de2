//! Webhooks: whether one comes from whom it should. What it says is not read: each means "look again".

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// So many deliveries are remembered, to know one that is repeated.
const REMEMBERED: usize = 1024;
/// And so long. Not all forges say when a delivery was made: a branch that goes back and forth brings the same body again,
/// as does somebody who asks for another delivery. Who repeats one later gains nothing but a pass.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// Headers that carry a signature of the body: GitHub's and Gitea's, Bitbucket's, and Gitea's own.
const SIGNATURES: [&str; 3] = ["x-hub-signature-256", "x-hub-signature", "x-gitea-signature"];
/// GitLab sends the secret itself.
const TOKEN: &str = "x-gitlab-token";

/// Tells good deliveries from others.
pub(super) struct Hooks {
    secret: Vec<u8>,
    seen: Mutex<VecDeque<(Instant, [u8; 32])>>,
}

/// What a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Look again.
    Good,
    /// It was here just now.
    Replayed,
    /// It proves nothing.
    Forged,
}

impl Hooks {
    pub fn new(secret: &str) -> Hooks {
        Hooks { secret: secret.as_bytes().to_vec(), seen: Mutex::default() }
    }

    /// Judges a delivery by its headers and its body as it came.
    pub fn judge(&self, headers: &HeaderMap, body: &[u8]) -> Delivery {
        self.judge_at(headers, body, Instant::now())
    }

    fn judge_at(&self, headers: &HeaderMap, body: &[u8], now: Instant) -> Delivery {
        if !self.is_signed(headers, body) {
            return Delivery::Forged;
        }
        if headers.contains_key(TOKEN) {
            // Who knows one of these knows the secret, and need not repeat anything.
            return Delivery::Good;
        }
        // Names of deliveries are not signed: who repeats one could give it another.
        let digest: [u8; 32] = Sha256::digest(body).into();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(at, _)| now.saturating_duration_since(*at) < REMEMBERED_FOR);
        if seen.iter().any(|(_, known)| *known == digest) {
            return Delivery::Replayed;
        }
        seen.push_front((now, digest));
        seen.truncate(REMEMBERED);
        Delivery::Good
    }

    fn is_signed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
        if let Some(token) = header(TOKEN) {
            return same(token, &self.secret);
        }
        // The strongest that is there decides; a weaker one beside it is no way around it.
        let Some(signature) = SIGNATURES.into_iter().find_map(header) else { return false };
        let signature = signature.strip_prefix(b"sha256=").unwrap_or(signature);
        let Some(signature) = from_hex(signature) else { return false };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return false };
        mac.update(body);
        mac.verify_slice(&signature).is_ok()
    }
}

/// Whether there is something to judge: who shows nothing need not be listened to.
pub(super) fn claims_to_be_signed(headers: &HeaderMap) -> bool {
    headers.contains_key(TOKEN) || SIGNATURES.iter().any(|name| headers.contains_key(*name))
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
pub(super) fn same(given: &[u8], secret: &[u8]) -> bool {
    // A MAC under the given one equals that under the secret only if they are equal; its check takes constant time.
    let mac = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(b"same"));
    match (mac(given), mac(secret)) {
        (Ok(given), Ok(secret)) => given.verify_slice(&secret.finalize().into_bytes()).is_ok(),
        _ => false,
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() != 64 {
        return None;
    }
    text.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))])
    }

    /// The example of GitHub's documentation.
    const BODY: &[u8] = b"Hello, World!";
    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn signatures_of_every_forge_are_known() {
        for (name, value) in [
            ("x-hub-signature-256", format!("sha256={SIGNATURE}")),
            ("x-hub-signature", format!("sha256={SIGNATURE}")),
            ("x-gitea-signature", SIGNATURE.to_owned()),
        ] {
            let (hooks, now) = (Hooks::new(SECRET), Instant::now());
            let judge = |later: Duration| hooks.judge_at(&headers(name, &value), BODY, now + later);
            assert_eq!(judge(Duration::ZERO), Delivery::Good, "{name}");
            assert_eq!(judge(REMEMBERED_FOR / 2), Delivery::Replayed, "{name}");
            assert_eq!(judge(REMEMBERED_FOR), Delivery::Good, "a branch that goes back and forth: {name}");
        }
        let hooks = Hooks::new(SECRET);
        for _ in 0..2 {
            assert_eq!(hooks.judge(&headers("x-gitlab-token", SECRET), BODY), Delivery::Good, "nothing is signed");
        }
    }

    #[test]
    fn what_proves_nothing_is_refused() {
        let hooks = Hooks::new(SECRET);
        let wrong = SIGNATURE.replace('7', "8");
        for (name, value) in [
            ("x-hub-signature-256", wrong.as_str()),
            ("x-hub-signature-256", ""),
            ("x-hub-signature-256", "sha256="),
            ("x-hub-signature-256", &SIGNATURE[..62]),
            ("x-hub-signature", "sha1=0b8e4e1d"),
            ("x-gitlab-token", "It's a Secret to Everybody!"),
            ("x-gitlab-token", ""),
            ("x-other", SIGNATURE),
        ] {
            assert_eq!(hooks.judge(&headers(name, value), BODY), Delivery::Forged, "{name}: {value}");
        }
        assert_eq!(hooks.judge(&headers("x-hub-signature-256", SIGNATURE), b"Hello, World?"), Delivery::Forged);
        assert_eq!(hooks.judge(&HeaderMap::new(), BODY), Delivery::Forged);
        let mut both = headers("x-hub-signature-256", &wrong);
        both.extend(headers("x-gitea-signature", SIGNATURE));
        assert_eq!(hooks.judge(&both, BODY), Delivery::Forged);
    }
}
