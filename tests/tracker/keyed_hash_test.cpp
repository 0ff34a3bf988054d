#include "tracker/keyed_hash.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

namespace {

using tracker::polynomial_digest;
using tracker::siphash;

TEST(SipHash, IsThatOfItsAuthors) {
    const std::array<std::uint64_t, 2> key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
    EXPECT_EQ(siphash(key, {}), 0x726fdb47dd0e0e31);
    EXPECT_EQ(siphash(key, {0x0706050403020100}), 0x93f5f5799a932462);
    EXPECT_EQ(siphash(key, {0x0706050403020100, 0x0f0e0d0c0b0a0908}), 0x3f2acc7f57c29bdb);
}

__extension__ using wide = unsigned __int128;

/// As docs/spool-format.md has it, a coefficient at a time.
std::uint64_t plain(std::uint64_t point, const std::string& bytes) {
    constexpr std::uint64_t prime = (std::uint64_t{1} << 61U) - 1;
    const auto x = (point & prime) % prime;
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < 7 && at + i < bytes.size(); ++i)
            word |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
        sum = static_cast<std::uint64_t>(wide{(sum + word) % prime} * x % prime);
    }
    return sum;
}

TEST(PolynomialDigest, IsThePolynomialForEveryLength) {
    std::mt19937_64 random(1);
    for (std::size_t length = 0; length < 500; ++length) {
        std::string bytes(length, '\0');
        for (auto& c : bytes) c = static_cast<char>(length % 3 == 0 ? 0xff : random());
        const auto point = length % 5 == 0 ? ~std::uint64_t{0} >> (length % 4) : random();
        ASSERT_EQ(polynomial_digest(point)(bytes), plain(point, bytes)) << length;
    }
}

TEST(PolynomialDigest, SeesEveryFlippedBit) {
    const std::string bytes(200, 'x');
    const polynomial_digest digest(0x123456789abcdef);
    std::set<std::uint64_t> all{digest(bytes)};
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        auto flipped = bytes;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        EXPECT_TRUE(all.insert(digest(flipped)).second) << bit;
    }
}

}  // namespace
