#pragma once

#include <memory>

#include "lifecycle/line_writer.hpp"
#include "tracker/sink.hpp"
#ifdef HTTP_SINK
#include "tracker/http/http_sink.hpp"
#endif
#ifdef KAFKA
#include "tracker/kafka/kafka_sink.hpp"
#endif
#ifdef NATS
#include "tracker/nats/nats_sink.hpp"
#endif

/// What `tracker.sink` can name in this program: the tracker's own, and those of the modules that are built. `output`
/// writes to standard output, whoever else does.
inline tracker::sink_makers known_sinks(const std::shared_ptr<lifecycle::line_writer>& output) {
    auto known = tracker::own_sinks(output);
#ifdef HTTP_SINK
    known["http"] = tracker::make_http_sink;
#endif
#ifdef KAFKA
    known["kafka"] = tracker::make_kafka_sink;
#endif
#ifdef NATS
    known["nats"] = tracker::make_nats_sink;
#endif
    return known;
}

/// Throws what making the sinks at a start would throw, but for those of the tracker itself, which open files: a name
/// that this program does not have, or settings that a sink cannot use.
inline void check_sinks(const tracker::options& options, spdlog::logger& log) {
    const auto known = known_sinks(nullptr), own = tracker::own_sinks(nullptr);  // only asked for their names
    tracker::require_known(options, known);
    for (const auto& name : options.sinks)
        if (!own.contains(name)) known.at(name)(options, log, [] { return lifecycle::clock::time_point::max(); });
}
