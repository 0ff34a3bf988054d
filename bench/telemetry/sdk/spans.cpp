// A peer of bench/telemetry/run: what a span of a request costs by the SDK of OpenTelemetry for C++, with its batch
// processor and its OTLP exporter over HTTP. A span has what one of the service has, and there is nothing else: no
// request, no answer.
//
//   spans URL COUNT      prints the CPU time of the whole process, in microseconds a span, until all have been sent

#include <opentelemetry/exporters/otlp/otlp_http_exporter_factory.h>
#include <opentelemetry/exporters/otlp/otlp_http_exporter_options.h>
#include <opentelemetry/sdk/trace/batch_span_processor_factory.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/trace/tracer.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

namespace trace = opentelemetry::trace;
namespace sdk = opentelemetry::sdk::trace;
namespace otlp = opentelemetry::exporter::otlp;

namespace {

double cpu_in_microseconds() {
    timespec spent{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return static_cast<double>(spent.tv_sec) * 1e6 + static_cast<double>(spent.tv_nsec) / 1e3;
}

void request(trace::Tracer& tracer) {
    trace::StartSpanOptions how;
    how.kind = trace::SpanKind::kServer;
    const auto span = tracer.StartSpan("GET /",
                                       {{"http.request.method", "GET"},
                                        {"http.route", "/"},
                                        {"url.scheme", "http"},
                                        {"url.path", "/"},
                                        {"server.address", "127.0.0.1"},
                                        {"server.port", 8080},
                                        {"client.address", "127.0.0.1"},
                                        {"network.peer.address", "127.0.0.1"},
                                        {"network.peer.port", 40000},
                                        {"network.protocol.version", "1.1"}},
                                       how);
    span->SetAttribute("http.response.status_code", 200);
    span->End();
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) return 2;
    const auto spans = static_cast<std::size_t>(std::atoi(arguments[2]));
    otlp::OtlpHttpExporterOptions to;
    to.url = std::string(arguments[1]) + "/v1/traces";
    to.content_type = otlp::HttpRequestContentType::kBinary;
    sdk::BatchSpanProcessorOptions batches;
    batches.max_queue_size = spans + 1;
    auto provider = sdk::TracerProviderFactory::Create(
        sdk::BatchSpanProcessorFactory::Create(otlp::OtlpHttpExporterFactory::Create(to), batches));
    const auto tracer = provider->GetTracer("bench");
    for (int nth = 0; nth < 100; ++nth) request(*tracer);
    provider->ForceFlush();
    const double before = cpu_in_microseconds();
    for (std::size_t nth = 0; nth < spans; ++nth) request(*tracer);
    if (!provider->ForceFlush(std::chrono::seconds(120))) return 1;
    std::printf("%.3f\n", (cpu_in_microseconds() - before) / static_cast<double>(spans));
}
