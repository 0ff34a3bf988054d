#include "configs/module_settings.hpp"

#include "configs/fields.hpp"
#include "configs/kinds.hpp"

namespace configs {

// [module nats]
std::vector<setting> rows_of_nats() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        url("tracker.nats_url", "where the sink nats connects; several are separated by commas", "a text",
            FIELD(tracker.nats.url)),
        text("tracker.nats_stream", "the JetStream stream, created if there is none", "a name",
             FIELD(tracker.nats.stream), is_host_name),
        text("tracker.nats_subject", "the subject of its messages", "a name", FIELD(tracker.nats.subject),
             is_host_name),
        number("tracker.nats_replicas", "replicas of a stream that is created", FIELD(tracker.nats.replicas), 1, 5),
        duration("tracker.nats_duplicate_window", "for this long the stream recognises an event that comes again",
                 FIELD(tracker.nats.duplicate_window), 100ms),
        duration("tracker.nats_patience", "time for acknowledgements; longer than an election takes",
                 FIELD(tracker.nats.patience), 1ms, 1h),
        number("tracker.nats_in_flight", "messages that may wait for their acknowledgement",
               FIELD(tracker.nats.in_flight), 1, 100'000),
        boolean("tracker.nats_atomic", "a batch is stored whole: for a stream with allow_atomic on servers that sync",
                FIELD(tracker.nats.atomic)),
        file("tracker.nats_credentials", "a .creds file of NATS", FIELD(tracker.nats.credentials)),
        file("tracker.nats_ca", "certificates that TLS trusts, PEM; when set, TLS is used", FIELD(tracker.nats.ca)),
        file("tracker.nats_certificate", "the client's certificate, PEM", FIELD(tracker.nats.certificate)),
        file("tracker.nats_key", "and its key, PEM", FIELD(tracker.nats.key)),
    };
}
// [/module nats]

// [module kafka]
std::vector<setting> rows_of_kafka() {
    using namespace kinds;
    return {
        text("tracker.kafka_brokers", "brokers that the sink kafka asks for the others: host:port, separated by commas",
             "a text", FIELD(tracker.kafka.brokers), is_text),
        text("tracker.kafka_topic", "the topic of its messages, which is never created", "a name",
             FIELD(tracker.kafka.topic), is_host_name),
        file("tracker.kafka_properties", "file of librdkafka's settings, one name=value on each line",
             FIELD(tracker.kafka.properties)),
    };
}
// [/module kafka]

// [module http_client]
std::vector<setting> rows_of_client() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        text("client.allow", "upstreams that may be called: http:// or https://host:port, separated by commas",
             "a text", FIELD(client.allow), is_text),
        number("client.max_connections", "open per upstream, on each loop", FIELD(client.max_connections), 1,
               1'000'000),
        size("client.max_body_bytes", "size of an answer; above: an error", FIELD(client.max_body_bytes), 0,
             std::uint64_t{1} << 30U),
        duration("client.idle_timeout", "how long an idle connection is kept", FIELD(client.idle_timeout), 1ms),
        file("client.tls_ca", "authorities of upstreams, PEM; empty: the system's", FIELD(client.tls_ca)),
        file("client.tls_certificate", "our own, for upstreams that ask for one, PEM", FIELD(client.tls_certificate)),
        file("client.tls_key", "its key, PEM", FIELD(client.tls_key)),
    };
}
// [/module http_client]

// [module telemetry]
std::vector<setting> rows_of_telemetry() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        url("telemetry.otlp_endpoint",
            "an OTLP receiver, http:// or https://host:port; empty: OTEL_* variables may name one", "a text",
            FIELD(telemetry.endpoint)),
        number("telemetry.queue_capacity",
               "spans of a loop, or log records, that may wait; more are dropped and counted",
               FIELD(telemetry.queue_capacity), 1, 1'000'000),
        duration("telemetry.interval", "how long they wait for a full batch", FIELD(telemetry.interval), 1ms, 1h),
        duration("telemetry.metrics_interval", "time between two exports of the metrics",
                 FIELD(telemetry.metrics_interval), 1ms, 24h),
        duration("telemetry.flush", "share of a stop's budget for sending what is left", FIELD(telemetry.flush), 0ms,
                 1h),
        word("telemetry.log_level", "the lowest level of log lines that are sent", FIELD(telemetry.log_level),
             {"trace", "debug", "info", "warn", "error", "critical", "off"}),
    };
}
// [/module telemetry]

}  // namespace configs
