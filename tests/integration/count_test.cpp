// POST /count on the real binary: bodies that stream through, and what a stop makes of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <string>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

constexpr const char* sum_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* sum_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
[[maybe_unused]] constexpr const char* sum_of_million =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";  // of a

std::string counted(std::size_t bytes, std::string_view sum) {
    return "{\"bytes\":" + std::to_string(bytes) + ",\"sha256\":\"" + std::string(sum) + "\"}\n";
}

TEST(Count, SaysSizeAndSumOfABodyInAnyFraming) {
    const service service;
    auto client = service.connect();
    EXPECT_EQ(client.exchange(request("POST", "/count"))->body, counted(0, sum_of_nothing));
    EXPECT_EQ(client.exchange(request("POST", "/count", {}, "abc"))->body, counted(3, sum_of_abc));
    const auto chunked = client.exchange(
        "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1\r\na\r\n2;x=y\r\nbc\r\n0\r\nT: u\r\n\r\n");
    EXPECT_EQ(chunked->body, counted(3, sum_of_abc));
    EXPECT_EQ(client.exchange(get("/"))->status, 200);  // the same connection
    EXPECT_EQ(service.ask("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627777\r\n\r\n").status, 413);
    EXPECT_EQ(service.ask(request("POST", "/count", "Content-Encoding: gzip\r\n", "abc")).status, 415);
}

TEST(Count, TellsAClientThatExpectsToGoOn) {
    const service service;
    auto client = service.connect();
    client.send("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.receive()->status, 100);
    client.send("abc");
    EXPECT_EQ(client.receive()->body, counted(3, sum_of_abc));
}

std::size_t resident(service& of) {
    std::ifstream status("/proc/" + std::to_string(of.process().pid()) + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
    return 0;
}

TEST(Count, TakesAnyNumberOfBytesInBoundedMemory) {
    service service;
    auto client = service.connect();
    EXPECT_EQ(client.exchange(request("POST", "/count", {}, "abc"))->status, 200);
    const auto before = resident(service);
    constexpr std::size_t pieces = 300;
    const std::string piece(1'000'000, 'a');
    client.send("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(pieces * piece.size()) +
                "\r\n\r\n");
    for (std::size_t nth = 0; nth < pieces; ++nth) ASSERT_TRUE(client.send(piece));
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_THAT(answer->body, HasSubstr("{\"bytes\":300000000,"));
    EXPECT_LE(resident(service), before + 1'024) << "KiB";
}

TEST(Count, AStopWaitsForABodyThatComes) {
    service service;
    auto client = service.connect();
    client.send("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    ASSERT_TRUE(service.handles("/count"));
    service.begin_stop(SIGTERM);
    client.send("abc");
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_TRUE(answer->closes());
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Count, ABodyThatDoesNotComeIs503WhenTheAppGivesUp) {
    service service({"--shutdown.budget=3s", "--shutdown.idle_grace=100ms", "--shutdown.flush=500ms"});
    auto client = service.connect();
    client.send("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    ASSERT_TRUE(service.handles("/count"));
    service.begin_stop(SIGTERM);
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->header("Retry-After"), "1");
    EXPECT_EQ(service.exit_code(), 3);
    EXPECT_EQ(faults(service.report()), "");
}

}  // namespace
}  // namespace integration
