//! Where traces go, by the environment variables that OpenTelemetry has for it.
//!
//! Those that are not here (queue, sampler, limits, headers, compression) are read by OpenTelemetry's own code.

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_otlp::Protocol;

/// How long a collector may take unless the environment says otherwise. Source: the specification of the OTLP exporter.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where traces go, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether JSON or Protocol Buffers are spoken.
    pub protocol: Protocol,
    /// The address. It may hold credentials, and is never shown.
    pub(super) endpoint: String,
    /// How long the collector may take for one request.
    pub timeout: Duration,
    /// A file of the only certificate authorities to trust, in PEM.
    pub authorities: Option<PathBuf>,
    /// Files of the certificate that we show, and of its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// What we are called, if `OTEL_SERVICE_NAME` says so.
    pub service: Option<String>,
}

impl Settings {
    /// What the environment says; none if traces are not asked for.
    ///
    /// # Errors
    /// One sentence: traces are asked for in a way that there is not.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Settings>, String> {
        let set = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        // What is said of traces alone goes before what is said of everything.
        let either = |name: &str| {
            let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
            names.into_iter().find_map(|name| Some((set(&name)?, name)))
        };
        let Some((endpoint, named_by)) = either("ENDPOINT") else { return Ok(None) };
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let exporters = set("OTEL_TRACES_EXPORTER").unwrap_or_else(|| "otlp".to_owned());
        let mut exporters = exporters.split(',').map(str::trim);
        if exporters.clone().all(|one| one == "none") {
            return Ok(None);
        }
        if !exporters.any(|one| one == "otlp") {
            return Err("`OTEL_TRACES_EXPORTER` names no exporter that is there: `otlp` is, and `none`".to_owned());
        }
        let is_http = url::Url::parse(&endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_http {
            return Err(format!("`{named_by}` holds no address that begins with http:// or https://"));
        }
        let protocol = match either("PROTOCOL") {
            None => Protocol::HttpBinary,
            Some((name, variable)) => protocol(&name, &variable)?,
        };
        let milliseconds = either("TIMEOUT").and_then(|(text, _)| text.parse().ok()).map(Duration::from_millis);
        let file = |name: &str| either(name).map(|(path, _)| PathBuf::from(path));
        Ok(Some(Settings {
            protocol,
            endpoint,
            timeout: milliseconds.filter(|timeout| !timeout.is_zero()).unwrap_or(TIMEOUT),
            authorities: file("CERTIFICATE"),
            identity: file("CLIENT_CERTIFICATE").zip(file("CLIENT_KEY")),
            service: set("OTEL_SERVICE_NAME"),
        }))
    }

    /// The collector, as messages call it.
    pub fn collector(&self) -> String {
        let url = url::Url::parse(&self.endpoint).ok();
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default();
        let port = url.as_ref().and_then(url::Url::port).map(|port| format!(":{port}")).unwrap_or_default();
        format!("{host}{port}")
    }
}

fn protocol(name: &str, variable: &str) -> Result<Protocol, String> {
    match name {
        "http/protobuf" => Ok(Protocol::HttpBinary),
        "http/json" => Ok(Protocol::HttpJson),
        "grpc" => Err(format!(
            "`{variable}` asks for gRPC, which is not spoken here: set it to `http/protobuf`, and the endpoint to the \
             collector's port for HTTP (mostly 4318)"
        )),
        _ => Err(format!("`{variable}` is none of `http/protobuf`, `http/json`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(all: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        Settings::read(|name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:canary@collector:4318/?k=canary");

    #[test]
    fn nothing_is_sent_unless_asked_for() {
        for all in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[ENDPOINT, ("OTEL_SDK_DISABLED", "True")],
            &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(read(all), Ok(None), "{all:?}");
        }
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "1")]).map(|found| found.is_some()), Ok(true));
    }

    #[test]
    fn what_is_said_of_traces_goes_before_the_rest() {
        let settings = read(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example.org/v1/traces"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_SERVICE_NAME", "mine"),
        ]);
        let settings = settings.expect("good").expect("asked for");
        assert_eq!((settings.protocol, settings.timeout.as_millis()), (Protocol::HttpJson, 250));
        assert_eq!(settings.collector(), "traces.example.org");
        assert_eq!((settings.authorities, settings.service.as_deref()), (Some("/ca.pem".into()), Some("mine")));
    }

    #[test]
    fn what_is_not_there_is_said_and_shows_no_secret() {
        let plain = read(&[ENDPOINT]).expect("good").expect("asked for");
        assert_eq!(plain.collector(), "collector:4318");
        assert_eq!((plain.protocol, plain.timeout, plain.service), (Protocol::HttpBinary, TIMEOUT, None));
        for (all, words) in [
            (&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..], "gRPC"),
            (&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")], "`http/json`"),
            (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "zipkin")], "`otlp`"),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "canary:4317")], "`OTEL_EXPORTER_OTLP_ENDPOINT`"),
        ] {
            let said = read(all).expect_err(words);
            assert!(said.contains(words) && !said.contains("canary"), "{said}");
        }
    }
}
