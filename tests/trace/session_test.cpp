#include "cmd/service/trace/session.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <thread>

namespace trace {
namespace {

using lifecycle::clock;
using std::chrono::seconds;

TEST(TraceSession, TakesOneAtATime) {
    session all;
    std::optional<session::taking> first(std::in_place, all, std::vector{::gettid()});
    EXPECT_TRUE(first->took());
    EXPECT_FALSE(session::taking(all, {}).took());
    EXPECT_TRUE(all.events.on()) << "the second has not ended the first";
    first.reset();
    EXPECT_FALSE(all.events.on());
    EXPECT_TRUE(session::taking(all, {}).took());
}

TEST(TraceSession, WhoEndsTheProcessWaitsUntilItHasBeenWritten) {
    session all;
    std::optional<session::taking> first(std::in_place, all, std::vector{::gettid()});
    EXPECT_FALSE(first->awaited());
    std::jthread ends([&] { all.finish(clock::now() + seconds(60)); });
    while (!first->awaited()) std::this_thread::yield();
    EXPECT_FALSE(session::taking(all, {}).took());
    EXPECT_TRUE(first->awaited()) << "the one that was refused has changed nothing";
    first.reset();
    ends.join();
}

TEST(TraceSession, NobodyWaitsForWhatIsNotTakenOrBeyondTheTime) {
    session all;
    all.finish(clock::now() + seconds(60));
    const session::taking taking(all, {});
    all.finish(clock::now());
    EXPECT_TRUE(taking.awaited());
}

}  // namespace
}  // namespace trace
