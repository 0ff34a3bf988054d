// Settings of modules that a program is built without, as this one is: it knows them, so it says what is the matter.

#include <gtest/gtest.h>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

// [module tls http2 websocket telemetry]
void expect_refused(const std::vector<std::string>& flags, const std::string& why) {
    const auto result = run_to_end(flags);
    EXPECT_EQ(result.code, 1) << why;
    EXPECT_EQ(result.err_lines, 1U) << result.err;
    EXPECT_EQ(result.err, "cannot start: " + why + "\n");
}

// [/module tls http2 websocket telemetry]
// [module tls]
TEST(NotBuiltIn, SettingsOfTlsAreRefusedByNamePlaceAndModule) {
    for (const std::string server : {"app", "debug"}) {
        expect_refused({"--" + server + ".tls_certificate=a.crt", "--" + server + ".tls_key=a.key"},
                       server + ".tls_certificate = [\"a.crt\"] (--" + server +
                           ".tls_certificate): this program is built without TLS: allowed is none");
        expect_refused({"--" + server + ".tls_client_ca=ca.crt"},
                       server + ".tls_client_ca = \"ca.crt\" (--" + server +
                           ".tls_client_ca): this program is built without TLS: allowed is none");
        expect_refused({"--" + server + ".tls_ticket_key=tickets"},
                       server + ".tls_ticket_key = \"tickets\" (--" + server +
                           ".tls_ticket_key): this program is built without TLS: allowed is none");
    }
}

// [/module tls]
// [module http2]
TEST(NotBuiltIn, SettingsOfHttp2AreRefusedByNamePlaceAndModule) {
    expect_refused({"--app.http2=true"},
                   "app.http2 = true (--app.http2): this program is built without HTTP2: "
                   "allowed is false");
    expect_refused({"--app.http2_max_streams=7"},
                   "app.http2_max_streams = 7 (--app.http2_max_streams): this program is built without HTTP2: "
                   "allowed is none");
}

// [/module http2]
// [module websocket]
TEST(NotBuiltIn, SettingsOfWebSocketsAreRefusedByNamePlaceAndModule) {
    expect_refused({"--app.max_websocket_message=2MiB"},
                   "app.max_websocket_message = \"2MiB\" (--app.max_websocket_message): this program is built "
                   "without WebSocket: allowed is none");
    expect_refused({"--app.websocket_ping=7s"},
                   "app.websocket_ping = \"7s\" (--app.websocket_ping): this program is built without WebSocket: "
                   "allowed is none");
}

// [/module websocket]
// [module telemetry]
TEST(NotBuiltIn, SettingsOfTelemetryAreRefusedByNamePlaceAndModule) {
    expect_refused({"--telemetry.otlp_endpoint=http://localhost:4318"},
                   "telemetry.otlp_endpoint = \"http://localhost:4318\" (--telemetry.otlp_endpoint): this program is "
                   "built without TELEMETRY: allowed is none");
}

// [/module telemetry]
TEST(NotBuiltIn, AFileWithTheDefaultsOfAllSettingsAsksForNothing) {
    service service(std::vector<std::string>{"--config=" SOURCE_DIR "/configs/service.toml"});
    EXPECT_EQ(service.ask(get("/readyz")).status, 200);
    service.begin_stop(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
}

}  // namespace
}  // namespace integration
