#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tracker {

/// What `record` does when the queue is full.
enum class overflow : std::uint8_t {
    block,       ///< waits for room until the request's context ends
    reject,      ///< answers `full` at once
    drop_oldest  ///< makes room by dropping the oldest queued event, counted
};

/// What an accepted event survives.
enum class durability : std::uint8_t {
    memory,   ///< an orderly stop
    process,  ///< SIGKILL
    disk      ///< power loss
};

/// Of the sink http, module http_sink.
struct http_options {
    std::string url;                            ///< http://host:port/path, or https
    std::string authorization;                  ///< the header's value; empty: none
    std::string ca;                             ///< certificates to trust, PEM; empty: the system's
    std::chrono::milliseconds timeout{10'000};  ///< of one exchange, connecting included
};
// [module kafka nats]
/// Of the sink nats, module nats.
struct nats_options {
    std::string url = "nats://127.0.0.1:4222";  ///< or several, separated by commas; tls:// for TLS
    std::string stream = "EVENTS", subject = "events";
    std::size_t replicas = 1;  ///< of a stream that has to be created
    std::chrono::milliseconds duplicate_window{600'000};
    std::chrono::milliseconds patience{15'000};     ///< for the acknowledgements of a batch
    std::size_t in_flight = 256;                    ///< messages that wait for theirs
    bool atomic = false;                            ///< a batch is stored whole, where the stream allows that
    std::string credentials, ca, certificate, key;  ///< files; empty: none
};

/// Of the sink kafka, module kafka.
struct kafka_options {
    std::string brokers = "127.0.0.1:9092";  ///< to ask for the others, host:port, several with commas
    std::string topic = "events";            ///< is never created
    std::string properties;                  ///< a file of librdkafka's own settings, name=value; empty: none
};
// [/module kafka nats]
/// What sinks put into the headers of a message: CloudEvents 1.0, binary mode.
struct cloud_event_options {
    bool on = false;                           ///< else a message is the event's line, as a file has it
    std::string source = "/", type = "event";  ///< of an event that does not say its own
};

struct options {
    /// Where events go: file, stdout, none; http, nats and kafka if those modules are built. If there are several, each
    /// has a worker and a position in the spool, so none waits for another; without a spool there is only one.
    std::vector<std::string> sinks{"file"};
    /// Throughput needs 256, one batch. The rest bridges a sink that stands still (with `memory`), and is four times
    /// `app.max_in_flight`, so that one event of each request finds room. With `memory` a stop has to deliver all of it
    /// within `shutdown.flush`.
    std::size_t queue_capacity = 4'096;
    std::size_t queue_bytes = 64 * 1024 * 1024;  ///< of ids, data and headers; a larger event gets in alone
    tracker::overflow overflow = tracker::overflow::block;
    tracker::durability durability = tracker::durability::process;
    std::string directory = "var/events";

    /// events.jsonl becomes events.jsonl.1, and so on up to `file_keep`, before it grows beyond this; 0: never.
    std::size_t file_max_size = 0;
    std::size_t file_keep = 10;

    http_options http;
    nats_options nats;    // [module nats/]
    kafka_options kafka;  // [module kafka/]
    cloud_event_options cloud_events;

    /// With durability above memory: what waits for delivery on disk, in files of up to `segment_bytes`
    /// (a quarter of it at most; a 32nd at least, since each has a descriptor). Full: `drop_oldest` drops
    /// the oldest file, the others refuse.
    std::size_t spool_bytes = std::size_t{1} << 30U;
    std::size_t segment_bytes = 32 * 1024 * 1024;
    /// How often to look for what other processes have left.
    std::chrono::milliseconds adopt_interval{60'000};
    std::size_t replay_rate = 10'000;  ///< events of earlier runs that are delivered a second; 0: no limit
    std::size_t rejected_tries = 3;    ///< of an event that the sink will never take; then it is a dead letter

    /// With durability memory only: the spool has one.
    std::size_t workers = 1;  ///< threads that deliver; above 1 the order of events is not kept

    /// A batch goes to the sink when any of these is reached.
    std::size_t batch_events = 256;
    std::size_t batch_bytes = 256 * 1024;
    std::chrono::milliseconds batch_age{10};

    /// Pause after a failed delivery: doubled each time, with jitter, cut short by a stop.
    std::chrono::milliseconds retry_initial{50};
    std::chrono::milliseconds retry_max{5'000};
};

}  // namespace tracker
