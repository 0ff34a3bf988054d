#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

using integration::get;

TEST(AMetric, IsWrittenByTheDebugPort) {
    const integration::service running;
    running.ask(get("/greet/Ada"));
    running.ask(integration::request("PUT", "/orders/7", "Content-Type: application/json\r\n",
                                     R"({"item":"nut","quantity":7})"));
    const auto metrics = running.ask_debug(get("/metrics")).body;
    EXPECT_THAT(metrics, testing::HasSubstr("\ngreetings_total 1\n"));
    EXPECT_THAT(metrics, testing::HasSubstr("\norder_quantity_bucket{le=\"10\"} 1\n"));
}

}  // namespace
