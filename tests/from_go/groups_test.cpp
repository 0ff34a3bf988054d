// Several calls of one request. The marked region is a code block of docs/from-go.md.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "lifecycle/group/group.hpp"

namespace from_go {
namespace {

using namespace std::chrono_literals;
using lifecycle::awaitable;
using lifecycle::context;
using testing::HasSubstr;

/// What a shop wants; the one that is shut throws, and the slow one takes as long as it may.
awaitable<int> price(context context, std::string shop) {
    if (shop == "shut") throw std::runtime_error("nobody there");
    const auto until = shop == "slow" ? lifecycle::clock::time_point::max() : lifecycle::clock::now() + 1ms;
    auto waiting = lifecycle::sleep_until(context, until);  // lint: the task waits, not the test
    co_await std::move(waiting);
    co_return static_cast<int>(shop.size());
}

// [errgroup]
/// Asks all shops, four at a time. The first error cancels the rest, and is thrown when all have ended.
awaitable<int> cheapest(context context, std::vector<std::string> shops) {
    const auto begin = [&shops](lifecycle::group<int>& calls) {
        for (const auto& shop : shops)
            calls.start(shop, [&shop](lifecycle::context until) { return price(std::move(until), shop); });
    };
    auto asking = lifecycle::run_all<int>(std::move(context), 4, begin);
    const std::vector<int> prices = co_await std::move(asking);  // in the order of the starts
    co_return *std::min_element(prices.begin(), prices.end());
}
// [/errgroup]

/// The price, or what was thrown.
std::string asked(const std::vector<std::string>& shops) {
    boost::asio::io_context io(1);
    std::string answer;
    boost::asio::co_spawn(io.get_executor(), cheapest({}, shops), [&](const std::exception_ptr& error, int price) {
        try {
            if (error) std::rethrow_exception(error);
            answer = std::to_string(price);
        } catch (const std::exception& thrown) {
            answer = thrown.what();
        }
    });
    io.run();
    return answer;
}

TEST(FromGo, AGroupAnswersWhenAllAreHome) { EXPECT_EQ(asked({"corner", "market", "mall", "arcade", "kiosk"}), "4"); }

TEST(FromGo, TheFirstErrorOfAGroupCancelsTheOthersAndIsThrownWithItsName) {
    const auto thrown = asked({"slow", "market", "shut", "slow"});
    EXPECT_THAT(thrown, HasSubstr("shut (")) << "whose task it was, and where it was started";
    EXPECT_THAT(thrown, HasSubstr("nobody there"));
}

}  // namespace
}  // namespace from_go
