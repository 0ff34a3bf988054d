#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

using integration::get;
using integration::service;

TEST(ARoute, AnswersWithItsParametersAndItsQuery) {
    const service running;
    EXPECT_EQ(running.ask(get("/greet/Ada?times=2")).body, "Hello, Ada\nHello, Ada\n");
    EXPECT_EQ(running.ask(get("/greet/Ada?times=11")).status, 400);
    EXPECT_EQ(running.ask(get("/greet-later/Ada")).body, "Hello, Ada\n");
}

}  // namespace
