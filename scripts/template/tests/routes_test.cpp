// The routes, on the real program.

#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

using integration::get;
using integration::service;
using testing::HasSubstr;

TEST(Routes, AGreetingNamesWhomItIsFor) {
    const service running;
    const auto answer = running.ask(get("/hello/Ada"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "Hello, Ada!\n");
}

TEST(Routes, OneThatWaitsAnswersToo) {
    const service running({"--greeting.patience=1ms"});
    EXPECT_EQ(running.ask(get("/later/Ada")).body, "There you are, Ada.\n");
}

TEST(Routes, WhatIsNotThereIs404AndAnotherMethodIs405) {
    const service running;
    EXPECT_EQ(running.ask(get("/nothing")).status, 404);
    EXPECT_EQ(running.ask(integration::request("DELETE", "/hello/Ada")).status, 405);
}

TEST(Routes, TheProbesAndTheMetricsAnswer) {
    const service running;
    EXPECT_EQ(running.ask(get("/livez")).status, 200);
    EXPECT_EQ(running.ask(get("/readyz")).status, 200);
    EXPECT_THAT(running.ask_debug(get("/metrics")).body, HasSubstr("curfew_build_info"));
}

}  // namespace
