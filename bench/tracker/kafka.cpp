// How fast a backlog goes to a Kafka topic, and what the library does by itself, a bare loop with the same settings:
// bench/tracker/kafka runs it. A line: how, events a second from the start of the part to the last one delivered.
//   tracker_kafka BROKERS TOPIC sink|bare EVENTS BATCH FOLDER
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "lifecycle/workers.hpp"
#include "tracker/event_tracker.hpp"
#include "tracker/kafka/kafka_sink.hpp"
#include "tracker/kafka/producer_settings.hpp"

namespace {

using lifecycle::clock;

void print(std::string_view how, std::string_view batch, unsigned long count, clock::time_point since) {
    const std::chrono::duration<double> lasted = clock::now() - since;
    fmt::print("{} {} {:.0f}\n", how, batch, static_cast<double>(count) / lasted.count());
}

constexpr int most_queued = 100'000;

/// Messages as large as the lines of the events, with an id each as the key, as many as the library's queue holds.
int produce_bare(const tracker::options& options, unsigned long count, std::string_view batch) {
    unsigned long acknowledged = 0;
    auto conf = tracker::producer_settings(options);
    rd_kafka_conf_set_opaque(conf.get(), &acknowledged);
    rd_kafka_conf_set_dr_msg_cb(conf.get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void* stored) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) ++*static_cast<unsigned long*>(stored);
    });
    rd_kafka_t* const kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf.release(), nullptr, 0);
    rd_kafka_topic_t* const topic = rd_kafka_topic_new(kafka, options.kafka.topic.c_str(), nullptr);
    std::string text(270, 'x');
    const auto since = clock::now();
    for (unsigned long i = 0; i < count;) {
        const auto id = fmt::format("{:026}", i);
        if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, text.data(), text.size(), id.data(),
                             id.size(), nullptr) == 0)
            ++i;
        rd_kafka_poll(kafka, rd_kafka_outq_len(kafka) < most_queued ? 0 : 10);
    }
    rd_kafka_flush(kafka, 60'000);
    if (acknowledged != count) return 1;
    print("bare", batch, count, since);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(kafka);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::span arguments(argv, static_cast<std::size_t>(argc));
    if (arguments.size() != 7) return 1;
    const auto count = std::strtoul(arguments[4], nullptr, 10);
    tracker::options options;
    options.sinks = {"kafka"};
    options.kafka.brokers = arguments[1];
    options.kafka.topic = arguments[2];
    options.batch_events = std::strtoul(arguments[5], nullptr, 10);
    options.batch_bytes = std::size_t{8} * 1024 * 1024;
    options.directory = arguments[6];
    options.queue_capacity = count;
    options.queue_bytes = std::size_t{1} << 30U;
    if (std::string_view(arguments[3]) == "bare") return produce_bare(options, count, arguments[5]);
    spdlog::logger log("bench", std::make_shared<spdlog::sinks::ostream_sink_mt>(std::cerr));
    log.set_level(spdlog::level::warn);
    const auto never = [] { return clock::time_point::max(); };
    lifecycle::workers workers;
    tracker::sinks sinks{tracker::make_kafka_sink(options, log, never)};
    tracker::event_tracker events(options, std::move(sinks), workers, log, never);
    for (std::size_t i = 0; i < count; ++i) events.try_record({.id = {}, .data = std::string(200, 'x')});
    const auto since = clock::now();
    const std::jthread run([&](const std::stop_token& stop) { events.run(stop); });
    while (events.account().delivered < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    print("sink", arguments[5], count, since);
}
