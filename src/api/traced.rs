//! A span for every request that belongs to a pass. Names of attributes: OpenTelemetry's conventions for HTTP clients.

use tracing::Span;
use tracing::field::Empty;
use url::Url;

/// Where requests go, as spans tell it.
pub(super) struct Peer {
    host: String,
    port: u16,
}

impl Peer {
    pub fn of(url: &str) -> Peer {
        let url = Url::parse(url).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
        Peer { host, port: url.as_ref().and_then(Url::port_or_known_default).unwrap_or_default() }
    }

    /// The span of one attempt; none outside of a pass: signs of life of a lock are no part of any.
    pub fn span(&self, method: &str, path: &str, attempt: u32) -> Span {
        if Span::current().is_none() {
            return Span::none();
        }
        tracing::info_span!(
            target: "otel", "request",
            otel.name = name(method, path), otel.kind = "client", otel.status_code = Empty,
            http.request.method = method, url.path = path, server.address = self.host, server.port = i64::from(self.port),
            http.request.resend_count = (attempt > 1).then(|| i64::from(attempt - 1)),
            http.response.status_code = Empty, "error.type" = Empty,
        )
    }
}

/// Says how it went.
pub(super) fn answered(span: &Span, status: Option<u16>) {
    if let Some(status) = status {
        // Whole numbers without a sign would become texts.
        span.record("http.response.status_code", i64::from(status));
    }
    if status.is_none_or(|status| status >= 400) {
        span.record("otel.status_code", "ERROR");
        match status {
            Some(status) => span.record("error.type", status.to_string()),
            None => span.record("error.type", "no_answer"),
        };
    }
}

/// Few names for many paths: what stands in a path for one object is left out.
fn name(method: &str, path: &str) -> String {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let first = segments.next().unwrap_or_default();
    match segments.next_back() {
        Some(last @ ("filter" | "paginate" | "count")) => format!("{method} /{first}/{last}"),
        Some(_) | None => format!("{method} /{first}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_few() {
        let named = |path| name("GET", path);
        assert_eq!(named("/deployments/3fa85f64-5717-4562-b3fc-2c963f66afa6/schedules"), "GET /deployments");
        assert_eq!(named("/deployments/filter"), "GET /deployments/filter");
        assert_eq!(named("/"), "GET /");
    }

    #[test]
    fn an_address_has_a_port_even_if_it_names_none() {
        let peer = Peer::of("https://prefect.example.org/api");
        assert_eq!((peer.host.as_str(), peer.port), ("prefect.example.org", 443));
        assert_eq!(Peer::of("nonsense").port, 0);
    }
}
