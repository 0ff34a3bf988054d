// What a client sends comes up in an error: neither the log nor the client may take it for something else.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string forged = "gone\r\n2026-01-01T00:00:00.000Z info     all is well\n\x1b[2J\x01\"}\xff";

/// What the log of a service has made of it.
std::string logged(const std::string& format, const std::string& thrown = forged) {
    service service({"--log.format=" + format});
    const auto answer = service.ask(request("POST", "/throw", {}, thrown));
    EXPECT_EQ(answer.status, 500);
    EXPECT_EQ(answer.body, "{\"title\":\"Internal Server Error\",\"status\":500}\n")
        << "an error says nothing of the inside";
    EXPECT_EQ(service.ask(get("/")).status, 200);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    return service.err();
}

TEST(Injection, AClientForgesNoLineOfTheLog) {
    const auto log = logged("text");
    EXPECT_THAT(log, HasSubstr("POST /throw failed: gone\\x0d\\x0a2026-01-01T00:00:00.000Z info     all is well"));
    EXPECT_THAT(log, Not(HasSubstr("\n2026-01-01")));
    EXPECT_THAT(log, Not(HasSubstr("\x1b")));
}

TEST(Injection, ATerminalGetsNoControlCodeInUtf8Either) {
    const auto log = logged("text",
                            "caf\xc3\xa9 \xc2\x9b"
                            "2J \xc2\xa7");
    EXPECT_THAT(log, HasSubstr("POST /throw failed: caf\xc3\xa9 \\xc2\\x9b"
                               "2J \xc2\xa7"));
}

TEST(Injection, ALogInJsonStaysJsonWhateverAClientSends) {
    const auto log = logged("json");
    int lines = 0, seen = 0;
    for (std::size_t at = 0; at < log.size(); ++lines) {
        const auto line = log.substr(at, log.find('\n', at) - at);
        at += line.size() + 1;
        boost::system::error_code error;
        const auto value = boost::json::parse(line, error);
        ASSERT_FALSE(error) << line;
        seen += value.at("message").as_string().find("all is well\\x0a\\x1b[2J") != std::string::npos;
    }
    EXPECT_GT(lines, 2);
    EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace integration
