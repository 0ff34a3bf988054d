#include "tracker/kafka/kafka_sink.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tracker/cloud_event.hpp"
#include "tracker/kafka/producer_settings.hpp"

namespace tracker {
namespace {

using lifecycle::clock;

/// The flush deadline is looked at this often: a second signal moves it.
constexpr int look_again_ms = 20;

/// What a broker says of a message that it will never take; and, as if it were theirs, of all in one batch with it.
bool speaks_of_a_message(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
           code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
}

std::string in_words(rd_kafka_resp_err_t code) {
    return fmt::format("{} ({})", rd_kafka_err2str(code), rd_kafka_err2name(code));
}

/// From here on the producer takes nothing.
struct fatal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace

class kafka_sink::producer {
public:
    producer(const options& from, messages& messages) : cloud_events_(from.cloud_events), messages_(messages) {
        auto conf = producer_settings(from);
        rd_kafka_conf_set_opaque(conf.get(), this);
        rd_kafka_conf_set_dr_msg_cb(conf.get(), on_report);
        rd_kafka_conf_set_error_cb(conf.get(), on_error);
        rd_kafka_conf_set_log_cb(conf.get(), [](const rd_kafka_t*, int, const char*, const char*) {});  // not to stderr
        std::array<char, 512> why{};
        kafka_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), why.data(), why.size());
        if (kafka_ == nullptr) throw std::runtime_error(fmt::format("kafka: {}", why.data()));
        static_cast<void>(conf.release());
        topic_ = rd_kafka_topic_new(kafka_, from.kafka.topic.c_str(), nullptr);
        if (topic_ != nullptr) return;
        const auto code = rd_kafka_last_error();
        rd_kafka_destroy(kafka_);
        throw std::runtime_error(fmt::format("kafka: topic {}: {}", from.kafka.topic, in_words(code)));
    }
    /// Without the last poll what was purged would be waited for.
    ~producer() {
        rd_kafka_purge(kafka_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_poll(kafka_, 0);
        rd_kafka_topic_destroy(topic_);
        rd_kafka_destroy(kafka_);
        messages_.release_under_way();
    }
    producer(const producer&) = delete;
    producer& operator=(const producer&) = delete;

    void deliver(std::span<const event> batch, clock::time_point until, const deadline_function& deadline) {
        failure_.clear();
        failed_ = refused_ = unreachable_ = false;
        messages_.begin();
        const auto too_large = produce(batch);
        // Nothing more comes before these are there: `flush` has them sent at once, whatever linger.ms is.
        while (messages_.any_under_way(batch) && !unreachable_ && fatal_.empty() &&
               clock::now() < std::min(until, deadline()))
            rd_kafka_flush(kafka_, look_again_ms);
        if (!fatal_.empty()) throw fatal(fatal_);
        if (!too_large.empty())
            throw rejected_event(too_large, fmt::format("larger than message.max.bytes: {}",
                                                        in_words(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)));
        if (messages_.any_under_way(batch))
            throw std::runtime_error(fmt::format("{} messages have not been acknowledged{}{}", messages_.under_way(),
                                                 trouble_.empty() ? "" : ": ", trouble_));
        if (refused_) throw refused(refused::about::the_events, failure_);
        if (failed_) throw std::runtime_error(failure_);
        trouble_.clear();
        messages_.delivered(batch);
    }

private:
    /// What is not under way or acknowledged already. Which of them the library itself will never take.
    std::vector<std::size_t> produce(std::span<const event> batch) {
        std::vector<std::size_t> too_large;
        for (std::size_t nth = 0; nth < batch.size(); ++nth) {
            const auto& event = batch[nth];
            if (messages_.knows(event.id)) continue;
            const auto code = cloud_events_.on ? produce_cloud_event(event) : produce_line(event);
            if (code == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
            if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
                too_large.push_back(nth);
            } else {  // of the sink, whatever it is: no rights, no such topic
                note(code);
                break;
            }
        }
        return too_large;
    }
    /// From `add` on, here and below, nothing throws: what is under way gets a report.
    rd_kafka_resp_err_t produce_line(const event& event) {
        text_.clear();
        append_json(text_, event);
        auto& message = messages_.add(event.id);
        if (rd_kafka_produce(topic_, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, text_.data(), text_.size(),
                             event.id.data(), event.id.size(), &message) == 0)
            return RD_KAFKA_RESP_ERR_NO_ERROR;
        messages_.release(message);
        return rd_kafka_last_error();
    }
    /// The events of one key are in one partition, in their order.
    rd_kafka_resp_err_t produce_cloud_event(const event& event) {
        const auto key = event.headers.find("partitionkey").empty() ? event.id : event.headers.find("partitionkey");
        const auto all = cloud_event(event, cloud_events_, binding::kafka);
        auto& message = messages_.add(event.id);
        rd_kafka_headers_t* const headers = rd_kafka_headers_new(all.size());
        for (const auto& [name, value] : all)
            rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                                static_cast<ssize_t>(value.size()));
        std::array<rd_kafka_vu_t, 7> parts{};
        parts[0] = {.vtype = RD_KAFKA_VTYPE_RKT, .u = {.rkt = topic_}};
        parts[1] = {.vtype = RD_KAFKA_VTYPE_PARTITION, .u = {.i32 = RD_KAFKA_PARTITION_UA}};
        parts[2] = {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u = {.i = RD_KAFKA_MSG_F_COPY}};
        parts[3] = {.vtype = RD_KAFKA_VTYPE_VALUE,
                    .u = {.mem = {const_cast<char*>(event.data.data()), event.data.size()}}};
        parts[4] = {.vtype = RD_KAFKA_VTYPE_KEY, .u = {.mem = {const_cast<char*>(key.data()), key.size()}}};
        parts[5] = {.vtype = RD_KAFKA_VTYPE_HEADERS, .u = {.headers = headers}};
        parts[6] = {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u = {.ptr = &message}};
        rd_kafka_error_t* const failure = rd_kafka_produceva(kafka_, parts.data(), parts.size());
        if (failure == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_headers_destroy(headers);  // only what was taken is the library's
        const auto code = rd_kafka_error_code(failure);
        rd_kafka_error_destroy(failure);
        messages_.release(message);
        return code;
    }

    void note(rd_kafka_resp_err_t code) {
        failed_ = true;
        if (code == RD_KAFKA_RESP_ERR__FATAL) return note_fatal();
        if (failure_.empty()) failure_ = in_words(code);
    }
    void note_fatal() {
        std::array<char, 512> why{};
        const auto code = rd_kafka_fatal_error(kafka_, why.data(), why.size());
        fatal_ = fmt::format("{}: {}; a new producer is made", in_words(code), why.data());
    }

    static void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void* self) noexcept try {
        static_cast<producer*>(self)->reported(*message);
    } catch (...) {  // NOLINT(bugprone-empty-catch): no memory for a reason
    }
    void reported(const rd_kafka_message_t& report) {
        auto& message = *static_cast<messages::slot*>(report._private);
        if (report.err == RD_KAFKA_RESP_ERR_NO_ERROR) return messages_.acknowledge(message);
        messages_.release(message);
        if (speaks_of_a_message(report.err)) refused_ = true;
        note(report.err);
    }

    static void on_error(rd_kafka_t*, int code, const char* why, void* self) noexcept try {
        auto& of = *static_cast<producer*>(self);
        if (code == RD_KAFKA_RESP_ERR__FATAL)
            of.note_fatal();
        else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
            of.unreachable_ = true;
        else
            of.trouble_ = why;
    } catch (...) {  // NOLINT(bugprone-empty-catch): no memory for a reason
    }

    const cloud_event_options cloud_events_;
    messages& messages_;
    rd_kafka_t* kafka_ = nullptr;
    rd_kafka_topic_t* topic_ = nullptr;
    std::string text_;
    std::string failure_;  ///< the first of this try; empty: none
    std::string trouble_;  ///< what the library has said last of its connections
    std::string fatal_;
    bool failed_ = false;       ///< something has, in this try
    bool refused_ = false;      ///< `failure_` speaks of a message
    bool unreachable_ = false;  ///< no broker is there, it has been said in this try
};

kafka_sink::kafka_sink(const options& options, deadline_function deadline, std::chrono::milliseconds patience)
    : options_(options), deadline_(std::move(deadline)), patience_(patience) {
    producer_settings(options_);  // so that a file that cannot be read is a fault at the start
}

kafka_sink::~kafka_sink() { finish(); }

void kafka_sink::deliver(std::span<const event> batch) try {
    const auto now = clock::now();
    if (now >= deadline_()) throw std::runtime_error("no time is left");
    if (!producer_) producer_ = std::make_unique<producer>(options_, messages_);
    producer_->deliver(batch, now + patience_, deadline_);
} catch (const fatal&) {
    producer_.reset();
    throw;
}

void kafka_sink::finish() noexcept { producer_.reset(); }

std::unique_ptr<sink> make_kafka_sink(const options& options, spdlog::logger&, deadline_function deadline) {
    return std::make_unique<kafka_sink>(options, std::move(deadline));
}

}  // namespace tracker
