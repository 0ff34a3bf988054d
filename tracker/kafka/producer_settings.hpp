#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>

#include "tracker/options.hpp"

namespace tracker {

struct destroy_kafka_conf {
    void operator()(rd_kafka_conf_t* object) const noexcept { rd_kafka_conf_destroy(object); }
};
using kafka_conf = std::unique_ptr<rd_kafka_conf_t, destroy_kafka_conf>;

/// What a producer of these settings is made with: acknowledged by all replicas in sync, idempotent, no topic made;
/// then the file `tracker.kafka_properties`, a line `name=value` each, `#` before a remark. Throws std::runtime_error
/// with one line that names file and line when that cannot be read, names what librdkafka does not know, or takes away
/// what makes "delivered" true. Connects to nothing.
kafka_conf producer_settings(const options& from);

}  // namespace tracker
