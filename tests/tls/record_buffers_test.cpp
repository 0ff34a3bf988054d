// OpenSSL's memory for records is used again, by the same thread, and nothing else is.

#include "server/tls/record_buffers.hpp"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstring>
#include <thread>

namespace {

constexpr std::size_t to_read = 16'716, to_write = 16'568;  // of OpenSSL 3.0

/// The session's part of the program has called it before anything.
TEST(RecordBuffers, AreUsedAgainForAnotherOfTheirSize) {
    auto* const first = OPENSSL_malloc(to_write);
    OPENSSL_free(first);
    auto* const second = OPENSSL_malloc(to_read);
    EXPECT_EQ(second, first);
    std::memset(second, 'x', to_read);
    auto* const third = OPENSSL_malloc(to_read);
    EXPECT_NE(third, second);
    OPENSSL_free(second);
    OPENSSL_free(third);
    EXPECT_EQ(OPENSSL_malloc(to_read), third) << "the last first";
    EXPECT_EQ(OPENSSL_malloc(to_read), second);
    OPENSSL_free(second);
    OPENSSL_free(third);
}

TEST(RecordBuffers, OfAnotherThreadAreItsOwnAndGoWithIt) {
    auto* const ours = OPENSSL_malloc(to_read);
    OPENSSL_free(ours);
    void* theirs = nullptr;
    std::thread([&] {
        theirs = OPENSSL_malloc(to_read);
        OPENSSL_free(theirs);
    }).join();
    EXPECT_NE(theirs, ours);
}

TEST(RecordBuffers, OtherSizesAreMallocs) {
    for (const std::size_t size : {1UL, 16'383UL, 17'409UL, 1'000'000UL}) {
        auto* bytes = static_cast<char*>(OPENSSL_malloc(size));
        ASSERT_NE(bytes, nullptr);
        bytes[size - 1] = 'x';
        bytes = static_cast<char*>(OPENSSL_realloc(bytes, size + 20'000));
        ASSERT_NE(bytes, nullptr);
        EXPECT_EQ(bytes[size - 1], 'x');
        OPENSSL_free(bytes);
    }
    EXPECT_EQ(OPENSSL_malloc(0), nullptr);
    OPENSSL_free(nullptr);
}

TEST(RecordBuffers, WhatIsKeptCanGrow) {
    auto* bytes = static_cast<char*>(OPENSSL_malloc(to_read));
    ASSERT_NE(bytes, nullptr);
    bytes[0] = 'x';
    bytes = static_cast<char*>(OPENSSL_realloc(bytes, 100'000));
    ASSERT_NE(bytes, nullptr);
    EXPECT_EQ(bytes[0], 'x');
    EXPECT_EQ(OPENSSL_realloc(bytes, 0), nullptr);
}

}  // namespace
