// Which hello is too large is known from its first bytes, however they come.

#include "server/tls/hello_limit.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using server::tls::hello_limit;

std::string record(char type, const std::string& content) {
    return std::string{type, '\x03', '\x01', static_cast<char>(content.size() >> 8),
                       static_cast<char>(content.size() & 0xff)} +
           content;
}
std::string message(char type, std::size_t size) {
    return {type, static_cast<char>(size >> 16), static_cast<char>(size >> 8 & 0xff), static_cast<char>(size & 0xff)};
}
std::string whole(char type, std::size_t size) { return message(type, size) + std::string(size, '\x01'); }
std::string encrypted() { return record('\x16', message('\x01', 100'000)); }  // as it may look

constexpr char change = '\x14', handshake = '\x16', application = '\x17';
const std::string change_cipher_spec = record(change, "\x01");

struct row {
    const char* what;
    std::string bytes;
    bool encrypts, taken;
};

const std::vector<row> table = {
    {"an ordinary one", record(handshake, whole(1, 517)), false, true},
    {"one of exactly as much", record(handshake, message(1, hello_limit::most)), false, true},
    {"a byte more", record(handshake, message(1, hello_limit::most + 1)), false, false},
    {"its head in four records",
     record(handshake, "\x01") + record(handshake, "\x01") + record(handshake, "\xff") + record(handshake, "\xff"),
     false, false},
    {"records of no bytes before it", record(handshake, "") + record(handshake, "") + encrypted(), false, false},
    {"a second one", record(handshake, whole(1, 300)) + encrypted(), false, false},
    {"a second one in the same record", record(handshake, whole(1, 300) + message(1, 100'000)), false, false},
    {"a second one after a ChangeCipherSpec", record(handshake, whole(1, 300)) + change_cipher_spec + encrypted(),
     false, false},
    {"what only looks like it, encrypted by TLS 1.2",
     record(handshake, whole(1, 300)) + change_cipher_spec + encrypted(), true, true},
    {"what only looks like it, as data", record(application, message(1, 100'000)), false, true},
    {"another message of that size", record(handshake, message(11, 100'000)), false, true},
    {"what is no record", std::string("\x80\x2e\x01\x00\x02") + encrypted(), false, true},
};

bool taken_by_byte(const std::string& bytes, bool encrypts) {
    hello_limit limit;
    bool all = true;
    for (const char byte : bytes) all = all && limit.takes({&byte, 1}, encrypts);
    return all;
}

TEST(HelloLimit, KnowsWhatIsTooLargeInOnePieceAndInMany) {
    for (const auto& [what, bytes, encrypts, taken] : table) {
        SCOPED_TRACE(what);
        EXPECT_EQ(hello_limit().takes(bytes, encrypts), taken);
        EXPECT_EQ(taken_by_byte(bytes, encrypts), taken);
    }
}

/// Of bytes that are likely in heads of records and messages.
TEST(HelloLimit, SaysTheSameOfAnyBytesInOnePieceAndInMany) {
    std::mt19937 random(1);
    constexpr std::string_view likely("\0\0\0\1\1\3\4\5\x14\x16\x16\x17\x40\xff", 14);
    int refused = 0;
    for (int nth = 0; nth < 20'000; ++nth) {
        std::string bytes("\x16\x03\x01\0", 4);
        while (bytes.size() < 64) bytes += likely[random() % likely.size()];
        const bool encrypts = nth % 2 == 0;
        const bool whole_taken = hello_limit().takes(bytes, encrypts);
        ASSERT_EQ(taken_by_byte(bytes, encrypts), whole_taken) << testing::PrintToString(bytes);
        refused += whole_taken ? 0 : 1;
    }
    EXPECT_GT(refused, 100);
}

}  // namespace
