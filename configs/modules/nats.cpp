#include "configs/fields.hpp"
#include "configs/kinds.hpp"
#include "configs/module_settings.hpp"

namespace configs {

std::vector<setting> rows_of_nats() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        url("tracker.nats_url", "where the sink nats connects; several are separated by commas", "a text",
            FIELD(tracker.nats.url)),
        text("tracker.nats_stream", "the JetStream stream, created if there is none", "a name",
             FIELD(tracker.nats.stream), is_host_name),
        text("tracker.nats_subject", "the subject of its messages", "a name", FIELD(tracker.nats.subject),
             is_host_name),
        number("tracker.nats_replicas", "replicas of a stream that is created", FIELD(tracker.nats.replicas), 1, 5),
        duration("tracker.nats_duplicate_window", "for this long the stream recognises an event that comes again",
                 FIELD(tracker.nats.duplicate_window), 100ms),
        duration("tracker.nats_patience", "time for acknowledgements; longer than an election takes",
                 FIELD(tracker.nats.patience), 1ms, 1h),
        number("tracker.nats_in_flight", "messages that may wait for their acknowledgement",
               FIELD(tracker.nats.in_flight), 1, 100'000),
        boolean("tracker.nats_atomic", "a batch is stored whole: for a stream with allow_atomic on servers that sync",
                FIELD(tracker.nats.atomic)),
        file("tracker.nats_credentials", "a .creds file of NATS", FIELD(tracker.nats.credentials)),
        file("tracker.nats_ca", "certificates that TLS trusts, PEM; when set, TLS is used", FIELD(tracker.nats.ca)),
        file("tracker.nats_certificate", "the client's certificate, PEM", FIELD(tracker.nats.certificate)),
        file("tracker.nats_key", "and its key, PEM", FIELD(tracker.nats.key)),
    };
}

}  // namespace configs
