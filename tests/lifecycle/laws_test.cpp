// Laws of the stop that code around it could break: each ends the process where it is broken, since what follows could
// only be wrong.
#include <gtest/gtest.h>

#include "lifecycle/stop_channel.hpp"
#include "tests/lifecycle/stopping.hpp"

#ifndef NDEBUG

namespace {

using namespace std::chrono_literals;
using fakes::app, fakes::settings, fakes::stop;

class LifecycleLawsDeath : public testing::Test {
protected:
    LifecycleLawsDeath() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(LifecycleLawsDeath, APartEndsOnce) {
    stop stop(settings(25s));
    stop.ended(app);
    EXPECT_DEATH(stop.ended(app), "a part ends once");
}

TEST_F(LifecycleLawsDeath, OnlyAPartThatIsThereIsUp) {
    stop stop(settings(25s));
    EXPECT_DEATH(stop.sequence.up(17), "part < order_.parts.size");
}

TEST_F(LifecycleLawsDeath, ThePartsOfAProcessRunOnce) {
    lifecycle::stop_channel stop(settings(25s));
    stop.complete();
    EXPECT_DEATH(stop.complete(), "the parts run once");
}

TEST_F(LifecycleLawsDeath, WhatEndsHasACause) {
    lifecycle::cancel_scope scope;
    EXPECT_DEATH(scope.cancel(lifecycle::cause::none), "what ends has a cause");
}

}  // namespace

#endif
