#include "tracker/known_keys.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace {

using tracker::known_keys;

std::string key(int number) { return "key-" + std::to_string(number); }

TEST(KnownKeys, TakeTheSameBodyAgainAndNoOther) {
    known_keys keys;
    EXPECT_TRUE(keys.agrees("a", "body"));
    EXPECT_TRUE(keys.agrees("a", "body"));
    EXPECT_FALSE(keys.agrees("a", "another"));
    EXPECT_TRUE(keys.agrees("a", "body")) << "a refused one changes nothing";
    EXPECT_TRUE(keys.agrees("b", "another"));
    EXPECT_TRUE(keys.agrees("c", ""));
    EXPECT_FALSE(keys.agrees("c", std::string(1, '\0')));
    EXPECT_FALSE(keys.agrees("c", std::string(7, '\0')));
}

TEST(KnownKeys, TellBodiesApartThatDifferInOneByteAnywhere) {
    known_keys keys;
    const std::string body(100, 'x');
    EXPECT_TRUE(keys.agrees("a", body));
    for (std::size_t at = 0; at < body.size(); ++at) {
        auto other = body;
        other[at] = 'y';
        EXPECT_FALSE(keys.agrees("a", other)) << at;
        EXPECT_FALSE(keys.agrees("a", body.substr(0, at))) << at;
    }
}

TEST(KnownKeys, RememberAtLeastTheLastOnesAndAtMostTwiceAsMany) {
    known_keys keys(100);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(keys.agrees(key(i), "one"));
    for (int i = 900; i < 1000; ++i) EXPECT_FALSE(keys.agrees(key(i), "two")) << i;
    for (int i = 0; i < 800; ++i) EXPECT_TRUE(keys.agrees(key(i), "two")) << i;
}

TEST(KnownKeys, ThatAreUsedAgainAreKeptAsNewOnes) {
    known_keys keys(10);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(keys.agrees("kept", "one"));
        ASSERT_TRUE(keys.agrees(key(i), "x"));
    }
    EXPECT_FALSE(keys.agrees("kept", "two"));
}

TEST(KnownKeys, LetOneOfTwoBodiesWinThatComeAtOnce) {
    known_keys keys;
    std::atomic<int> agreed = 0;
    {
        std::vector<std::jthread> clients;
        for (int client = 0; client < 4; ++client)
            clients.emplace_back([&, body = std::to_string(client)] {
                for (int i = 0; i < 1000; ++i)
                    if (keys.agrees(key(i), body)) ++agreed;
            });
    }
    EXPECT_EQ(agreed, 1000);
}

}  // namespace
