#include <gmock/gmock.h>

#include <cstring>
#include <string>
#include <thread>

#include "cmd/service/telemetry/record_ring.hpp"

namespace telemetry {
namespace {

bool add(record_ring& to, const std::string& text) {
    auto* const at = to.begin();
    if (at == nullptr) return false;
    std::memcpy(at, text.data(), text.size());
    to.end(text.size());
    return true;
}

struct taken {
    std::string bytes;
    std::vector<std::size_t> ends;
};
taken take(record_ring& from, std::size_t records = 1000, std::size_t bytes = 1 << 20) {
    taken all;
    from.take(all.bytes, all.ends, records, bytes);
    return all;
}

TEST(RecordRing, givesWhatWasPutInInItsOrder) {
    record_ring ring(10);
    EXPECT_TRUE(add(ring, "one"));
    EXPECT_TRUE(add(ring, "three"));
    EXPECT_EQ(ring.waiting(), 2U);
    const auto all = take(ring);
    EXPECT_EQ(all.bytes, "onethree");
    EXPECT_THAT(all.ends, testing::ElementsAre(3, 8));
    EXPECT_EQ(ring.waiting(), 0U);
}

TEST(RecordRing, dropsAndCountsWhatFindsNoRoom) {
    record_ring ring(3);
    for (int nth = 0; nth < 5; ++nth) add(ring, "x");
    EXPECT_EQ(ring.dropped(), 2U);
    EXPECT_EQ(ring.written(), 3U);
    take(ring, 1);
    EXPECT_TRUE(add(ring, "y"));
    EXPECT_EQ(take(ring).bytes, "xxy");
}

TEST(RecordRing, isBoundedByBytesToo) {
    record_ring ring(1000);
    const std::string large(record_ring::longest_record, 'x');
    std::size_t many = 0;
    while (add(ring, large)) ++many;
    EXPECT_LE(many * large.size(), 1000 * record_ring::usual_record);
    EXPECT_GE(many, 20U);
    EXPECT_EQ(ring.dropped(), 1U);
}

TEST(RecordRing, givesNoMoreThanARequestHolds) {
    record_ring ring(100);
    for (int nth = 0; nth < 10; ++nth) add(ring, std::string(1000, 'x'));
    EXPECT_EQ(take(ring, 4).ends.size(), 4U);
    EXPECT_EQ(take(ring, 100, 2500).ends.size(), 2U);
    EXPECT_EQ(take(ring, 100, 10).ends.size(), 1U) << "one that is larger goes alone";
    EXPECT_EQ(take(ring).ends.size(), 3U);
}

TEST(RecordRing, goesOnWhereARecordEndsExactlyWithTheRing) {
    record_ring ring(1);  // 64 KiB: four of the longest with their lengths of 4 bytes, if one has 16 bytes less
    constexpr auto most = record_ring::longest_record;
    for (std::size_t nth = 0; nth < 40; ++nth) {
        const std::string record(nth % 4 == 2 ? most - 16 : most, static_cast<char>('a' + nth % 26));
        ASSERT_TRUE(add(ring, record)) << nth;
        ASSERT_EQ(take(ring).bytes, record) << nth;
    }
}

TEST(RecordRing, voidsARecordThatIsNotFinished) {
    record_ring ring(10);
    ring.begin();
    ring.drop();
    add(ring, "next");
    EXPECT_EQ(take(ring).bytes, "next");
    EXPECT_EQ(ring.dropped(), 1U);
}

TEST(RecordRing, losesNothingBetweenTwoThreads) {
    record_ring ring(64);
    constexpr std::uint64_t all = 50'000;
    std::jthread writer([&] {
        for (std::uint64_t nth = 0; nth < all;)
            if (add(ring, std::to_string(nth) + "," + std::string(nth % 900, 'x') + ";")) ++nth;
    });
    std::uint64_t next = 0;
    while (next < all) {
        const auto some = take(ring, 7);
        std::size_t from = 0;
        for (const auto end : some.ends) {
            const auto record = some.bytes.substr(from, end - from);
            ASSERT_EQ(record, std::to_string(next) + "," + std::string(next % 900, 'x') + ";");
            ++next;
            from = end;
        }
    }
    EXPECT_EQ(ring.waiting(), 0U);
}

}  // namespace
}  // namespace telemetry
