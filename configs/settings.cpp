#include "configs/settings.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "configs/fields.hpp"
#include "configs/kinds.hpp"
#include "configs/module_settings.hpp"
#include "configs/program.hpp"
#include "configs/secret_file.hpp"
#include "lifecycle/masked_urls.hpp"

namespace configs {
namespace {

constexpr std::uint64_t million = 1'000'000;
constexpr std::uint64_t kibi = 1024;
constexpr std::uint64_t mebi = 1024 * kibi;

std::vector<setting> rows_of_http_sink() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        url("tracker.http_url", "where the sink http posts", "a URL, or empty", FIELD(tracker.http.url)),
        secret(text("tracker.http_authorization", "value of its header Authorization", "a text, or empty",
                    LIVE(tracker.http.authorization), is_text)),
        file("tracker.http_ca", "certificates that https trusts, PEM; empty: the system's", FIELD(tracker.http.ca)),
        duration("tracker.http_timeout", "time for a request and its answer", FIELD(tracker.http.timeout), 1ms, 1h),
    };
}

/// What messages of sinks look like.
std::vector<setting> rows_of_messages() {
    using namespace kinds;
    return {
        boolean("tracker.cloudevents",
                "CloudEvents 1.0: POST /events takes headers, messages of http, nats and kafka have them",
                FIELD(tracker.cloud_events.on)),
        text("tracker.cloudevents_source", "source of an event that does not say its own", "a URI reference",
             FIELD(tracker.cloud_events.source), [](std::string_view text) { return !text.empty() && is_text(text); }),
        text("tracker.cloudevents_type", "type of an event that does not say its own", "a text",
             FIELD(tracker.cloud_events.type), [](std::string_view text) { return !text.empty() && is_text(text); }),
    };
}

/// Where it listens, to whom, and how many at a time.
std::vector<setting> rows_of_listener() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        file("ready_file", "file that gets the pid and both addresses when the service is ready", FIELD(ready_file)),
        duration("upgrade_timeout", "time for the successor after SIGUSR2 to be ready", FIELD(upgrade_timeout), 1ms),

        address("app.address", "where the application server listens; :: is dual stack", FIELD(app.address)),
        number("app.port", "port of the application server; 0: any free one", FIELD(app.port), 0, 65'535),
        boolean("app.reuse_port", "SO_REUSEPORT, for overlapping generations", FIELD(app.reuse_port)),
        mode("app.unix_mode", "permissions of a UNIX socket", FIELD(app.unix_mode)),
        boolean("app.proxy_protocol", "each connection begins with a header of the PROXY protocol, version 1 or 2",
                FIELD(app.proxy_protocol)),
        trusted("app.trusted_proxies", "proxies that are believed about clients; unix: every peer of a UNIX socket",
                LIVE(app.trusted_proxies)),
        choice("app.forwarded_header", "the one field from them that names the client", LIVE(app.forwarded_header),
               {{"x-forwarded-for", server::forwarded_field::x_forwarded_for},
                {"forwarded", server::forwarded_field::forwarded},
                {"x-real-ip", server::forwarded_field::x_real_ip}}),
        number("app.threads", "event loops; 0: the smaller of CPU affinity and cgroup quota", FIELD(app.threads), 0,
               256),
        number("app.max_connections", "at the limit the connection that has been idle longest is closed",
               LIVE(app.max_connections), 1, million),
        number("app.max_connections_per_client", "connections from one IPv4 address or IPv6 /64; 0: any number",
               LIVE(app.max_connections_per_client), 0, million),
        number("app.max_in_flight", "requests in handlers at a time; above: 503", LIVE(app.max_in_flight), 1, million),
    };
}

/// How long a client, and a handler, may take.
std::vector<setting> rows_of_times() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        duration("app.header_timeout", "time for a head, the first from the accept", LIVE(app.header_timeout), 1ms),
        duration("app.body_timeout", "time for a whole body", LIVE(app.body_timeout), 1ms),
        duration("app.write_timeout", "how long a response may make no progress", LIVE(app.write_timeout), 1ms),
        duration("app.idle_timeout", "time between two requests of a connection", LIVE(app.idle_timeout), 1ms),
        duration("app.keep_alive_hint",
                 "above 0, at least 3s: answers say how long an idle connection is kept, for clients that ask",
                 LIVE(app.keep_alive_hint), 0ms, 1h),
        boolean("app.half_close", "whether a client that has shut down its sending side still waits for its answer",
                LIVE(app.half_close)),
        duration("app.request_timeout", "deadline of a handler; 504 when it passes", LIVE(app.request_timeout), 1ms),
        size("app.min_data_rate", "bytes a second at which a body must come and a response be taken; 0: any",
             LIVE(app.min_data_rate), 0, kibi * mebi),
        duration("app.data_rate_grace",
                 "how long a body may be slower at first; a response is measured over the write_timeout",
                 LIVE(app.data_rate_grace), 1ms),
    };
}

std::vector<setting> rows_of_sizes() {
    using namespace kinds;
    return {
        size("app.max_header_bytes", "size of a whole head; above: 431", LIVE(app.max_header_bytes), 256, mebi),
        size("app.max_target_bytes", "size of the request target; above: 414", LIVE(app.max_target_bytes), 1, mebi),
        boolean("app.strict_targets",
                "a target with a byte that RFC 3986 does not allow is 400, even if browsers send it unescaped",
                LIVE(app.strict_targets)),
        size("app.max_body_bytes", "size of a whole body; above: 413", LIVE(app.max_body_bytes), 0, kibi * mebi),
        number("app.max_headers", "header lines of a request; above: 431", LIVE(app.max_headers), 1, 10'000),
        size("app.max_chunk_extension_bytes", "size of the extensions of one chunk; above: 400",
             LIVE(app.max_chunk_extension_bytes), 0, mebi),
        size("app.max_chunk_extensions_bytes", "size of the extensions of all chunks of a body; above: 400",
             LIVE(app.max_chunk_extensions_bytes), 0, kibi * mebi),
        size("app.max_trailer_bytes", "size of all trailers; above: 400", LIVE(app.max_trailer_bytes), 0, mebi),
        size("app.max_pipelined_bytes", "how much is read ahead of the request that is being answered",
             LIVE(app.max_pipelined_bytes), 256, mebi),
        number("app.max_requests", "requests of one connection; 0: any number", LIVE(app.max_requests), 0,
               million * million),
        size("app.send_buffer_bytes", "what the kernel buffers for a client that does not read; 0: it decides",
             FIELD(app.send_buffer_bytes), 0, kibi * mebi),
    };
}

std::vector<setting> rows_of_debug() {
    using namespace kinds;
    return {
        address("debug.address", "where the debug server listens", FIELD(debug.address)),
        number("debug.port", "port of the debug server; 0: any free one", FIELD(debug.port), 0, 65'535),
        mode("debug.unix_mode", "permissions of a UNIX socket; users who may write to it may end the service",
             FIELD(debug.unix_mode)),
        host_names("debug.allowed_hosts", "Host values that may change something, besides IP addresses and localhost",
                   FIELD(debug.allowed_hosts)),
    };
}

std::vector<setting> rows_of_shutdown() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        duration("shutdown.budget", "the whole stop, from the signal to the exit", FIELD(shutdown.budget), 1ms),
        duration("shutdown.lame_duck", "for at least this long readiness is 503 and everything is still served",
                 FIELD(shutdown.lame_duck), 0ms),
        duration("shutdown.idle_grace", "how long an idle connection may still bring a last request",
                 FIELD(shutdown.idle_grace), 0ms),
        duration("shutdown.flush", "the share of the budget that only the tracker may use", FIELD(shutdown.flush), 0ms),
        boolean("shutdown.envoy_hint",
                "while /readyz is 503 in a stop each answer tells an Envoy in front to choose another host",
                LIVE(app.envoy_hint)),
        file("shutdown.report", "file that gets the shutdown report", FIELD(shutdown.report)),
    };
}

std::vector<setting> rows_of_tracker() {
    using namespace kinds;
    using tracker::durability;
    using tracker::overflow;
    return {
        words("tracker.sink", "where events go, to each sink at its own pace; http, nats and kafka are modules",
              FIELD(tracker.sinks), {"file", "stdout", "none", "http", "nats", "kafka"}),
        number("tracker.queue_capacity", "events that wait at a time", FIELD(tracker.queue_capacity), 1, million),
        size("tracker.queue_bytes", "size of the ids, data and headers of the events that wait",
             LIVE(tracker.queue_bytes), 1, 1024 * 1024 * mebi),
        choice("tracker.overflow", "what a full queue does with one more event", LIVE(tracker.overflow),
               {{"block", overflow::block}, {"reject", overflow::reject}, {"drop_oldest", overflow::drop_oldest}}),
        choice("tracker.durability", "what an accepted event survives: an orderly stop, SIGKILL, loss of power",
               FIELD(tracker.durability),
               {{"memory", durability::memory}, {"process", durability::process}, {"disk", durability::disk}}),
        text("tracker.directory", "folder of the spool, in which the file sink writes events.jsonl", "a path",
             FIELD(tracker.directory), [](std::string_view path) { return !path.empty() && is_text(path); }),
        size("tracker.file_max_size", "events.jsonl becomes events.jsonl.1 before it grows beyond this; 0: never",
             FIELD(tracker.file_max_size), 0, million * mebi),
        number("tracker.file_keep", "how many such files are kept", FIELD(tracker.file_keep), 1, 10'000),
    };
}

std::vector<setting> rows_of_delivery() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        size("tracker.spool_bytes", "what may wait on disk; full: drop_oldest drops, otherwise 503",
             FIELD(tracker.spool_bytes), 64 * kibi, 1024 * kibi * mebi),
        size("tracker.segment_bytes", "size of a file of the spool, from a 32nd to a quarter of the whole",
             FIELD(tracker.segment_bytes), 4 * kibi, kibi * mebi),
        duration("tracker.adopt_interval", "how often to look for what ended processes have left in the spool",
                 FIELD(tracker.adopt_interval), 10ms, 1h),
        number("tracker.replay_rate", "events of earlier runs delivered a second; 0: no limit",
               FIELD(tracker.replay_rate), 0, million),
        number("tracker.rejected_tries", "tries of an event that the sink refuses; then it is a dead letter",
               FIELD(tracker.rejected_tries), 1, 1'000),
        number("tracker.workers", "threads that deliver, with durability memory; above 1 the order is not kept",
               FIELD(tracker.workers), 1, 64),
        number("tracker.batch_events", "a batch goes to the sink at this many events", FIELD(tracker.batch_events), 1,
               million),
        size("tracker.batch_bytes", "a batch goes to the sink at this many bytes", FIELD(tracker.batch_bytes), 1,
             64 * mebi),
        duration("tracker.batch_age", "a batch goes to the sink after this long", FIELD(tracker.batch_age), 0ms, 1min),
        duration("tracker.retry_initial", "pause after a failed delivery, doubled each time",
                 FIELD(tracker.retry_initial), 1ms, 1h),
        duration("tracker.retry_max", "the longest such pause", FIELD(tracker.retry_max), 1ms, 1h),
    };
}

std::vector<setting> rows_of_log() {
    using namespace kinds;
    return {
        word("log.level", "the lowest level that is logged, on stderr", LIVE(log.level),
             {"trace", "debug", "info", "warn", "error", "critical", "off"}),
        word("log.format", "how a log line is written", FIELD(log.format), {"text", "json"}),
        boolean("log.access", "one line for each request", LIVE(log.access)),
        paths("log.access_exclude", "paths that get no such line", LIVE(app.access_exclude)),
    };
}

/// Each setting is written once, in the order of --help: to add one, add a member to an options struct and a row above.
std::vector<setting> make_table() {
    std::vector<setting> table;
    for (auto* const rows : {
             rows_of_listener, rows_of_times, rows_of_sizes,
             rows_of_tls,        // [module tls/]
             rows_of_http2,      // [module http2/]
             rows_of_websocket,  // [module websocket/]
             rows_of_debug,
             rows_of_debug_tls,  // [module tls/]
             rows_of_shutdown, rows_of_tracker, rows_of_http_sink,
             rows_of_nats,   // [module nats/]
             rows_of_kafka,  // [module kafka/]
             rows_of_messages, rows_of_delivery,
             rows_of_client,  // [module http_client/]
             rows_of_log,
             rows_of_telemetry,  // [module telemetry/]
         })
        std::ranges::move(rows(), std::back_inserter(table));
    return table;
}

program described;
std::atomic<bool> table_is_made{false};

}  // namespace

std::string setting::flag() const { return fmt::format("--{}", key); }

std::string setting::variable() const {
    std::string name(this_program().variables);
    for (const char c : key) name += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return name;
}

std::string setting::remark() const { return fmt::format("({}{})", allowed, reloadable ? "; reloadable" : ""); }

std::string setting::masked(std::string_view text) const {
    if (secret) return std::string(text.empty() ? text : lifecycle::mask);
    return lifecycle::masked_urls(text, url ? lifecycle::url_text::urls : lifecycle::url_text::any);
}

std::string setting::toml(const config& from) const {
    auto value = shown(from);
    if (written == form::bare && !secret) return value;
    if (written != form::list) return in_quotes(value);
    std::vector<std::string> items;
    for (const auto& item : split_list(value)) items.push_back(in_quotes(item));
    return fmt::format("[{}]", fmt::join(items, ", "));
}

std::vector<setting> table_of(const program& it) {
    std::vector<setting> table;
    const auto add = [&](setting row) {
        if (std::ranges::find(table, row.key, &setting::key) != table.end())
            throw std::logic_error(fmt::format("the setting {} is there already", row.key));
        table.push_back(std::move(row));
    };
    for (const auto& rows : {make_table(), it.rows}) {
        for (const auto& row : rows) {
            add(row);
            if (row.has_file()) add(row_of_file(row));
        }
    }
    return table;
}

void describe(program it) {
    if (table_is_made) throw std::logic_error("the settings have been read: describe the program before");
    table_of(it);  // throws
    described = std::move(it);
}

const program& this_program() { return described; }

const std::vector<setting>& settings() {
    static const auto table = [] {
        table_is_made = true;
        return table_of(described);
    }();
    return table;
}

}  // namespace configs
