#include <csignal>

#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

using integration::service;

TEST(ASecondPort, AnswersAndIsInTheReport) {
    service running;
    const std::string mark = "admin on ";
    ASSERT_TRUE(running.logs(mark));
    const auto log = running.err();
    const auto from = log.find(mark) + mark.size();
    support::client client(support::endpoint(log.substr(from, log.find_first_of("\n ", from) - from)));
    const auto answer = client.exchange(integration::request("DELETE", "/orders/7"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 404);
    auto at_app = running.connect();
    const auto elsewhere = at_app.exchange(integration::request("DELETE", "/orders/7"));
    ASSERT_TRUE(elsewhere);
    EXPECT_EQ(elsewhere->status, 405);
    running.begin_stop(SIGTERM);
    EXPECT_EQ(running.exit_code(), 0) << running.err();
    EXPECT_EQ(integration::faults(running.report()), "");
    EXPECT_EQ(integration::number(running.report(), "connections", "open_at_stop"), 2) << "one at each port";
}

}  // namespace
