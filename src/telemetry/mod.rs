//! Traces of passes by OTLP, if the environment asks for them.
//!
//! Every span of ours has the target `otel`, so that logs are the same with and without. Who ends a span only puts it
//! into a queue: a thread of its own sends what is there every few seconds, and what does not fit into the queue is
//! dropped. So a collector that is away or slow delays nobody. Where no traces are asked for there is neither.

mod courier;
mod settings;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use courier::Courier;
pub use settings::Settings;

/// How long the end of a command may be held up by what is still to be sent.
const PATIENCE: Duration = Duration::from_secs(3);

/// Traces on their way. Dropping it sends nothing more.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send; requests are made on `runtime`.
    ///
    /// # Errors
    /// One sentence: a certificate or an address that cannot be used.
    pub fn begin(settings: &Settings, runtime: Handle) -> Result<Traces, String> {
        let courier = Courier::new(settings, runtime)?;
        // The address, headers and compression it reads itself; what it says of a wrong one would show it.
        let exporter = SpanExporter::builder().with_http().with_protocol(settings.protocol);
        let exporter = exporter.with_timeout(settings.timeout).with_http_client(courier).build();
        let exporter = exporter.map_err(|_| "the variables `OTEL_EXPORTER_OTLP_…` make no sense".to_owned())?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(settings));
        Ok(Traces(provider.build()))
    }

    /// What makes traces of spans with the target `otel`.
    pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(&self) -> impl Layer<S> + use<S> {
        let ours = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == "otel";
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("reconcile"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(ours).with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is left, as far as that is quickly done. Blocks; the runtime has to be there still.
    pub fn end(self) {
        let _ = self.0.shutdown_with_timeout(PATIENCE);
    }
}

/// Who we are: what the environment says goes before what we say.
fn resource(settings: &Settings) -> Resource {
    let ours =
        [KeyValue::new("service.name", "reconcile"), KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))];
    let resource = Resource::builder_empty()
        .with_attributes(ours)
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    match &settings.service {
        Some(name) => resource.with_service_name(name.clone()).build(),
        None => resource.build(),
    }
}
