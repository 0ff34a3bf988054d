// How fast a backlog goes to a NATS stream, message by message and in batches that are stored whole; and what the
// library does by itself, a bare loop with as many unacknowledged messages: bench/tracker/nats runs it. A line: how,
// the batch, how many may be unacknowledged, events a second from the start of the part to the last one delivered.
//   tracker_nats URL STREAM single|atomic|bare EVENTS BATCH IN_FLIGHT FOLDER
#include <fmt/format.h>
#include <nats/nats.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "lifecycle/workers.hpp"
#include "tracker/event_tracker.hpp"
#include "tracker/nats/nats_sink.hpp"

namespace {

/// Messages as large as the lines of the events, with an id each, published without waiting but for the window.
int publish_bare(const char* url, const std::string& name, unsigned long count, long window) {
    natsConnection* connection = nullptr;
    jsCtx* stream = nullptr;
    jsOptions how;
    jsOptions_Init(&how);
    how.PublishAsync.MaxPending = window;
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const auto subject = name + ".events";
    std::array<const char*, 1> subjects{subject.c_str()};
    config.Name = name.c_str();
    config.Subjects = subjects.data();
    config.SubjectsLen = 1;
    if (natsConnection_ConnectTo(&connection, url) != NATS_OK ||
        natsConnection_JetStream(&stream, connection, &how) != NATS_OK ||
        js_AddStream(nullptr, stream, &config, nullptr, nullptr) != NATS_OK)
        return 1;
    const std::string text(270, 'x');
    const auto since = lifecycle::clock::now();
    for (unsigned long i = 0; i < count; ++i) {
        const auto id = fmt::format("{:026}", i);
        jsPubOptions options;
        jsPubOptions_Init(&options);
        options.MsgId = id.c_str();
        options.ExpectStream = name.c_str();
        if (js_PublishAsync(stream, subject.c_str(), text.data(), static_cast<int>(text.size()), &options) != NATS_OK)
            return 1;
    }
    if (js_PublishAsyncComplete(stream, nullptr) != NATS_OK) return 1;
    const std::chrono::duration<double> lasted = lifecycle::clock::now() - since;
    fmt::print("bare 1 {} {:.0f}\n", window, static_cast<double>(count) / lasted.count());
    jsCtx_Destroy(stream);
    natsConnection_Destroy(connection);
    nats_Close();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::span arguments(argv, static_cast<std::size_t>(argc));
    if (arguments.size() != 8) return 1;
    const auto count = std::strtoul(arguments[4], nullptr, 10);
    if (std::string_view(arguments[3]) == "bare")
        return publish_bare(arguments[1], arguments[2], count, std::strtol(arguments[6], nullptr, 10));
    tracker::options options;
    options.sinks = {"nats"};
    options.nats.url = arguments[1];
    options.nats.stream = arguments[2];
    options.nats.subject = std::string(arguments[2]) + ".events";
    options.nats.atomic = std::string_view(arguments[3]) == "atomic";
    options.batch_events = std::strtoul(arguments[5], nullptr, 10);
    options.nats.in_flight = std::strtoul(arguments[6], nullptr, 10);
    options.batch_bytes = std::size_t{4} * 1024 * 1024;
    options.directory = arguments[7];
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
    fmt::print("{} {} {} {:.0f}\n", arguments[3], arguments[5], arguments[6],
               static_cast<double>(count) / lasted.count());
}
