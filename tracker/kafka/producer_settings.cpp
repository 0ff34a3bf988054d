#include "tracker/kafka/producer_settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tracker {
namespace {

/// Names of librdkafka that are ours, each with the value that may be repeated; none: it is a setting of our own.
struct fixed {
    std::string_view name, value, other_value, why;
};
constexpr std::string_view lost = "else an event could be lost that was counted as delivered";
constexpr std::array<fixed, 7> not_to_be_changed{{
    {"bootstrap.servers", {}, {}, "it is tracker.kafka_brokers"},
    {"metadata.broker.list", {}, {}, "it is tracker.kafka_brokers"},
    {"acks", "all", "-1", lost},
    {"request.required.acks", "-1", "all", lost},
    {"enable.idempotence", "true", "true", "else events would come twice and out of their order"},
    {"allow.auto.create.topics", "false", "false", "else a topic that was deleted would be a new one, without a word"},
    {"delivery.report.only.error", "false", "false", "else nothing would say that an event was delivered"},
}};

void set(rd_kafka_conf_t* to, const std::string& name, const std::string& value) {
    std::array<char, 512> why{};
    if (rd_kafka_conf_set(to, name.c_str(), value.c_str(), why.data(), why.size()) != RD_KAFKA_CONF_OK)
        throw std::runtime_error(why.data());
}

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t\r");
    if (begin == text.npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// Its value may be a password, so it is in no message but librdkafka's own about a value out of range.
void set_line(rd_kafka_conf_t* to, std::string_view line) {
    const auto equals = line.find('=');
    if (equals == line.npos || equals == 0) throw std::runtime_error("is not name=value");
    const auto name = trimmed(line.substr(0, equals)), value = trimmed(line.substr(equals + 1));
    const auto* const ours = std::ranges::find(not_to_be_changed, name, &fixed::name);
    if (ours != not_to_be_changed.end() &&
        (ours->value.empty() || (value != ours->value && value != ours->other_value)))
        throw std::runtime_error(fmt::format("{} stays as it is: {}", name, ours->why));
    set(to, std::string(name), std::string(value));
}

void read_properties(rd_kafka_conf_t* to, const std::string& path) {
    std::ifstream file(path);
    std::size_t number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        const auto text = trimmed(line);
        if (text.empty() || text.front() == '#') continue;
        try {
            set_line(to, text);
        } catch (const std::runtime_error& fault) {
            throw std::runtime_error(
                fmt::format("tracker.kafka_properties '{}', line {}: {}", path, number, fault.what()));
        }
    }
    if (!file.eof() || number == 0)
        throw std::runtime_error(fmt::format("tracker.kafka_properties '{}' cannot be read", path));
}

}  // namespace

kafka_conf producer_settings(const options& from) {
    kafka_conf made(rd_kafka_conf_new());
    auto* const to = made.get();
    set(to, "bootstrap.servers", from.kafka.brokers);
    set(to, "client.id", "curfew");
    set(to, "acks", "all");
    set(to, "enable.idempotence", "true");
    set(to, "allow.auto.create.topics", "false");
    // No end: a message that is given up may be stored all the same, and would be twice. It is the flush that gives up.
    set(to, "message.timeout.ms", "0");
    set(to, "reconnect.backoff.max.ms", "1000");
    // A topic that could not be written is looked at again so often; the library itself would wait for five minutes.
    set(to, "topic.metadata.refresh.interval.ms", "5000");
    set(to, "log.connection.close", "false");
    constexpr std::size_t usual = 100'000;
    set(to, "queue.buffering.max.messages", std::to_string(std::max(usual, 2 * from.batch_events)));
    if (!from.kafka.properties.empty()) read_properties(to, from.kafka.properties);
    return made;
}

}  // namespace tracker
