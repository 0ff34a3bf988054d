// Kafka's brokers in this process: those that come with librdkafka, which take, keep and give back what real ones do,
// and fail as they are told to.
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace kafka {

inline constexpr std::int16_t produce_request = 0;  // Kafka protocol, "API Keys"

struct message {
    std::string key, value;
    std::map<std::string, std::string> headers = {};
};

class mock_cluster {
public:
    explicit mock_cluster(int brokers = 1, int partitions = 1) : partitions_(partitions) {
        auto* const conf = rd_kafka_conf_new();
        rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
        rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", nullptr, 0);
        rd_kafka_conf_set(conf, "group.id", "tests", nullptr, 0);
        rd_kafka_conf_set(conf, "enable.partition.eof", "true", nullptr, 0);
        owner_ = rd_kafka_new(RD_KAFKA_PRODUCER, nullptr, nullptr, 0);
        cluster_ = rd_kafka_mock_cluster_new(owner_, brokers);
        rd_kafka_conf_set(conf, "bootstrap.servers", bootstraps().c_str(), nullptr, 0);
        if (rd_kafka_mock_topic_create(cluster_, "events", partitions, brokers) != RD_KAFKA_RESP_ERR_NO_ERROR)
            throw std::runtime_error("no topic");
        reader_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0);
        rd_kafka_poll_set_consumer(reader_);
    }
    ~mock_cluster() {
        rd_kafka_consumer_close(reader_);
        rd_kafka_destroy(reader_);
        rd_kafka_mock_cluster_destroy(cluster_);
        rd_kafka_destroy(owner_);
    }
    mock_cluster(const mock_cluster&) = delete;
    mock_cluster& operator=(const mock_cluster&) = delete;

    std::string bootstraps() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }

    /// The next requests to produce are answered so.
    void answers_next(const std::vector<rd_kafka_resp_err_t>& codes) {
        rd_kafka_mock_push_request_errors_array(cluster_, produce_request, codes.size(), codes.data());
    }
    void forgets_its_answers() { rd_kafka_mock_clear_request_errors(cluster_, produce_request); }
    void topic_says(rd_kafka_resp_err_t code) { rd_kafka_mock_topic_set_error(cluster_, "events", code); }
    void goes_down(int broker = 1) { rd_kafka_mock_broker_set_down(cluster_, broker); }
    void comes_up(int broker = 1) { rd_kafka_mock_broker_set_up(cluster_, broker); }
    void answers_after(std::chrono::milliseconds delay, int broker = 1) {
        rd_kafka_mock_broker_set_rtt(cluster_, broker, static_cast<int>(delay.count()));
    }
    void leads(int broker, int partition = 0) {
        rd_kafka_mock_partition_set_leader(cluster_, "events", partition, broker);
    }

    /// All that is in the topic, read from its beginning.
    std::vector<message> content() {
        auto* const from = rd_kafka_topic_partition_list_new(partitions_);
        for (int nth = 0; nth < partitions_; ++nth)
            rd_kafka_topic_partition_list_add(from, "events", nth)->offset = RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_assign(reader_, from);
        rd_kafka_topic_partition_list_destroy(from);
        std::vector<message> all;
        for (int ended = 0; ended < partitions_;) {
            auto* const polled = rd_kafka_consumer_poll(reader_, 10'000);
            if (polled == nullptr) throw std::runtime_error("the topic cannot be read");
            if (polled->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ++ended;
            if (polled->err == RD_KAFKA_RESP_ERR_NO_ERROR)
                all.push_back({std::string(static_cast<const char*>(polled->key), polled->key_len),
                               std::string(static_cast<const char*>(polled->payload), polled->len),
                               headers_of(*polled)});
            rd_kafka_message_destroy(polled);
        }
        rd_kafka_assign(reader_, nullptr);
        return all;
    }
    std::map<std::string, int> ids() {
        std::map<std::string, int> times;
        for (const auto& each : content()) ++times[each.key];
        return times;
    }

private:
    static std::map<std::string, std::string> headers_of(const rd_kafka_message_t& message) {
        std::map<std::string, std::string> all;
        rd_kafka_headers_t* headers = nullptr;
        if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return all;
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        for (std::size_t nth = 0;
             rd_kafka_header_get_all(headers, nth, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++nth)
            all[name] = std::string(static_cast<const char*>(value), size);
        return all;
    }

    const int partitions_;
    rd_kafka_t* owner_ = nullptr;
    rd_kafka_mock_cluster_t* cluster_ = nullptr;
    rd_kafka_t* reader_ = nullptr;
};

}  // namespace kafka
