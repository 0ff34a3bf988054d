#include <gtest/gtest.h>
#include <pthread.h>

#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <thread>

#include "server/request.hpp"
#include "tests/allocations/failing.hpp"

namespace {

TEST(Allocations, AValueOfTheQueryThatFindsNoMemoryIsThrownAndNotTheEndOfTheProcess) {
    server::request asked;
    asked.query = "another-one-of-a-long-name=1&one-of-a-long-name=a%20value+that+is+long";
    std::optional<std::string> found;
    std::uint64_t thrown = 0;
    std::thread([&] {
        ::pthread_setname_np(::pthread_self(), "app-1");  // or none of them fails
        while (!found && thrown < 100) {
            failing::arm(thrown + 1, 1);
            try {
                found = asked.query_value("one-of-a-long-name");
            } catch (const std::bad_alloc&) {
                ++thrown;
            }
            failing::disarm();
        }
    }).join();
    EXPECT_EQ(found, "a value that is long");
    EXPECT_GT(thrown, 1U);
}

}  // namespace
