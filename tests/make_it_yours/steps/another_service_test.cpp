#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

using integration::get;
using integration::service;

TEST(AnotherService, IsCalledWhereItIsAllowed) {
    const service prices;
    const auto origin = "http://" + prices.app().text();
    const service running({"--client.allow=" + origin, "--prices.url=" + origin + "/hello/"});
    EXPECT_EQ(running.ask(get("/price/nut")).body, "Hello, nut!\n");
    const service alone({"--prices.url=" + origin + "/hello/"});
    EXPECT_EQ(alone.ask(get("/price/nut")).status, 502);
}

}  // namespace
