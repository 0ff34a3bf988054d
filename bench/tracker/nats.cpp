// How fast a backlog goes to a NATS stream, message by message and in batches that are stored whole: bench/tracker/nats
// runs it. A line: how, events a second from the start of the part to the last one delivered.
//   tracker_nats URL STREAM single|atomic EVENTS BATCH FOLDER
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>
#include <thread>

#include "lifecycle/workers.hpp"
#include "tracker/event_tracker.hpp"
#include "tracker/nats/nats_sink.hpp"

int main(int argc, char** argv) {
    const std::span arguments(argv, static_cast<std::size_t>(argc));
    if (arguments.size() != 7) return 1;
    const auto count = std::strtoul(arguments[4], nullptr, 10);
    tracker::options options;
    options.sinks = {"nats"};
    options.nats.url = arguments[1];
    options.nats.stream = arguments[2];
    options.nats.subject = std::string(arguments[2]) + ".events";
    options.nats.atomic = std::string_view(arguments[3]) == "atomic";
    options.batch_events = std::strtoul(arguments[5], nullptr, 10);
    options.batch_bytes = std::size_t{1024} * 1024;
    options.directory = arguments[6];
    options.queue_capacity = count;
    options.queue_bytes = std::size_t{1} << 30U;
    spdlog::logger log("bench", std::make_shared<spdlog::sinks::ostream_sink_mt>(std::cerr));
    log.set_level(spdlog::level::warn);
    const auto never = [] { return lifecycle::clock::time_point::max(); };
    lifecycle::workers workers;
    tracker::sinks sinks{tracker::make_nats_sink(options, log, never)};
    tracker::event_tracker events(options, std::move(sinks), workers, log, never);
    for (std::size_t i = 0; i < count; ++i) events.try_record({.id = {}, .data = std::string(200, 'x')});
    const auto since = lifecycle::clock::now();
    const std::jthread run([&](const std::stop_token& stop) { events.run(stop); });
    while (events.account().delivered < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::chrono::duration<double> lasted = lifecycle::clock::now() - since;
    fmt::print("{} {} {:.0f}\n", arguments[3], arguments[5], static_cast<double>(count) / lasted.count());
}
