#include "server/sha256.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace {

using server::sha256;

std::string sum_of(std::string_view text, bool portable = false) {
    sha256 sum;
    if (portable) sum.be_portable();
    sum.add(text);
    return sum.hex();
}

TEST(Sha256, IsThatOfFips180) {  // examples of FIPS 180-4 and of the length of its padding
    for (const bool portable : {false, true}) {
        EXPECT_EQ(sum_of("", portable), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        EXPECT_EQ(sum_of("abc", portable), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        EXPECT_EQ(sum_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", portable),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        EXPECT_EQ(sum_of(std::string(1'000'000, 'a'), portable),
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
}

TEST(Sha256, DoesNotDependOnThePieces) {
    for (std::size_t size = 0; size < 300; ++size) {
        const std::string text(size, static_cast<char>('a' + size % 26));
        sha256 pieces;
        for (std::size_t at = 0; at < size; at += 7) pieces.add(std::string_view(text).substr(at, 7));
        EXPECT_EQ(pieces.hex(), sum_of(text, true)) << size;
    }
}

}  // namespace
