// The connection of the sink http and of telemetry, to an https server: an allocation that fails in the first delivery,
// in OpenSSL for instance, costs that delivery and none after it.
#include <pthread.h>

#include <exception>
#include <thread>

#include "tests/tls_client_allocations/secure_server.hpp"
#include "tracker/http_connection/http_connection.hpp"

namespace {

using namespace std::chrono_literals;
using tls_client_allocations::secure_server;

unsigned post(tracker::http_connection& connection) try {
    return connection.exchange("x").result_int();
} catch (const std::exception&) {
    return 0;
}

TEST(TlsClientAllocations, ADeliveryThatFoundNoMemoryCostsNoLaterDelivery) {
    const secure_server there;
    tls_client_allocations::sweep([&](const auto& arm, const auto& disarm) {
        bool well = false;
        tracker::http_connection connection(
            {.url = there.origin() + "/ok",
             .fields = {},
             .timeout = 10s,
             .ca = there.ca(),
             .certificate = {},
             .key = {},
             .url_name = "the url",
             .ca_name = "the files"},
            [] { return lifecycle::clock::time_point::max(); },
            [](const std::string& host) { return std::vector{host}; });
        std::thread worker([&] {
            ::pthread_setname_np(::pthread_self(), "tracker-http");
            arm();
            post(connection);
            disarm();
            well = post(connection) == 200;
        });
        worker.join();
        return well;
    });
}

}  // namespace
