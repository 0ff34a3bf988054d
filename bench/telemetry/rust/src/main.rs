// What a span costs with opentelemetry-rust, its batch processor and its exporter for OTLP over HTTP: as many as asked for,
// with the attributes of a server span, in batches of 512. Prints the microseconds of CPU of all threads for each of them.
//   telemetry-peer ENDPOINT SPANS
use opentelemetry::trace::{Span, SpanKind, Tracer, TracerProvider};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use opentelemetry_sdk::Resource;
use std::time::Duration;

fn cpu() -> f64 {
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut used) };
    let of = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    of(used.ru_utime) + of(used.ru_stime)
}

fn main() {
    let given: Vec<String> = std::env::args().collect();
    let spans: usize = given[2].parse().expect("a number of spans");
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&given[1])
        .build()
        .expect("an exporter");
    // Room for all of them: what is dropped would cost nothing.
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(2 * spans)
        .with_max_export_batch_size(512)
        .with_scheduled_delay(Duration::from_secs(3600))
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_resource(Resource::builder().with_service_name("peer").build())
        .build();
    let tracer = provider.tracer("peer");
    let before = cpu();
    for _ in 0..spans {
        let mut span = tracer
            .span_builder("GET /")
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", "GET"),
                KeyValue::new("http.route", "/"),
                KeyValue::new("url.scheme", "http"),
                KeyValue::new("url.path", "/"),
                KeyValue::new("network.protocol.version", "1.1"),
                KeyValue::new("server.address", "127.0.0.1"),
                KeyValue::new("server.port", 8080),
                KeyValue::new("client.address", "127.0.0.1"),
                KeyValue::new("network.peer.address", "127.0.0.1"),
                KeyValue::new("network.peer.port", 40000),
            ])
            .start(&tracer);
        span.set_attribute(KeyValue::new("http.response.status_code", 200));
        span.end();
    }
    provider.force_flush().expect("all is sent");
    println!("{:.4}", (cpu() - before) / spans as f64);
    provider.shutdown().expect("an end");
}
