#include "configs/fields.hpp"
#include "configs/kinds.hpp"
#include "configs/module_settings.hpp"

namespace configs {

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

}  // namespace configs
