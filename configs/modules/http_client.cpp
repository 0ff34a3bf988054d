#include "configs/fields.hpp"
#include "configs/kinds.hpp"
#include "configs/module_settings.hpp"

namespace configs {

std::vector<setting> rows_of_client() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        text("client.allow", "upstreams that may be called: http:// or https://host:port, separated by commas",
             "a text", FIELD(client.allow), is_text),
        number("client.max_connections", "open per upstream, on each loop", FIELD(client.max_connections), 1,
               1'000'000),
        size("client.max_body_bytes", "size of an answer; above: an error", FIELD(client.max_body_bytes), 0,
             std::uint64_t{1} << 30U),
        duration("client.idle_timeout", "how long an idle connection is kept", FIELD(client.idle_timeout), 1ms),
        file("client.tls_ca", "authorities of upstreams, PEM; empty: the system's", FIELD(client.tls_ca)),
        file("client.tls_certificate", "our own, for upstreams that ask for one, PEM", FIELD(client.tls_certificate)),
        file("client.tls_key", "its key, PEM", FIELD(client.tls_key)),
    };
}

}  // namespace configs
