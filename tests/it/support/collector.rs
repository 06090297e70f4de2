//! `Collector`: takes traces by OTLP over HTTP, or behaves as one that is in trouble.

use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;

/// A collector on a free port of 127.0.0.1 until the test process ends.
pub struct Collector {
    /// `http://HOST:PORT`
    pub url: String,
    house: Arc<Mutex<House>>,
}

struct House {
    /// What it answers; none: it never does.
    status: Option<u16>,
    taken: Vec<Taken>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Taken {
    pub path: String,
    pub headers: HeaderMap,
    /// As the JSON of OTLP.
    pub body: Value,
}

impl Collector {
    /// One that answers so; none: that never answers.
    pub fn start(status: Option<u16>) -> Collector {
        let house = Arc::new(Mutex::new(House { status, taken: Vec::new() }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(take).with_state(Arc::clone(&house));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        Collector { url, house }
    }

    /// What came so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.house.lock().unwrap().taken.clone()
    }

    /// From now on it answers so.
    pub fn answers(&self, status: Option<u16>) {
        self.house.lock().unwrap().status = status;
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Value> {
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let resources = self.taken().into_iter().flat_map(|taken| list(&taken.body, "resourceSpans"));
        let scopes = resources.flat_map(|resource| list(&resource, "scopeSpans"));
        scopes.flat_map(|scope| list(&scope, "spans")).collect()
    }

    /// Waits until there are spans of a kind.
    #[track_caller]
    pub fn until(&self, what: &str, test: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let spans = self.spans();
            if test(&spans) {
                return spans;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{what}: {spans:#?}");
            sleep(Duration::from_millis(20));
        }
    }
}

async fn take(State(house): State<Arc<Mutex<House>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let body = match headers["content-type"].to_str().unwrap() {
        "application/json" => serde_json::from_slice(&body).unwrap(),
        "application/x-protobuf" => serde_json::to_value(ExportTraceServiceRequest::decode(body).unwrap()).unwrap(),
        other => panic!("{other}"),
    };
    let status = {
        let mut house = house.lock().unwrap();
        house.taken.push(Taken { path: uri.path().to_owned(), headers, body });
        house.status
    };
    match status {
        Some(status) => StatusCode::from_u16(status).unwrap(),
        None => std::future::pending().await,
    }
}

/// An attribute of a span or of a resource, as JSON.
pub fn attribute(of: &Value, name: &str) -> Value {
    let all = of["attributes"].as_array().into_iter().flatten();
    let found = all.filter(|one| one["key"] == name).map(|one| &one["value"]).next();
    let Some(value) = found.and_then(Value::as_object).and_then(|value| value.iter().next()) else {
        return Value::Null;
    };
    match (value.0.as_str(), value.1) {
        // Whole numbers are texts in OTLP's JSON.
        ("intValue", Value::String(n)) => n.parse::<i64>().unwrap().into(),
        (_, value) => value.clone(),
    }
}
