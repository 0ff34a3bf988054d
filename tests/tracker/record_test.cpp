#include "tracker/spool/record.hpp"
#include "tracker/spool/record_reader.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/tracker/spool_fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::make_event;
using tracker::record_reader;
using tracker::segment_key;
using strings = std::vector<std::string>;

const auto key = fakes::known_key();

struct read_back {
    strings data;
    std::uint64_t end = 0;
};

read_back read(const std::string& bytes, bool over_damage = false) {
    fakes::memory_disk disk(bytes);
    record_reader reader(disk, 0, &key, tracker::segment_header_size, bytes.size());
    read_back all;
    tracker::event event;
    do {
        while (reader.next(event)) all.data.push_back(event.data);
    } while (over_damage && reader.at() != bytes.size() && reader.skip_damage());
    all.end = reader.at();
    return all;
}

std::string some(std::uint64_t count) {
    std::vector<tracker::event> events;
    for (std::uint64_t i = 1; i <= count; ++i) events.push_back(make_event(fmt::format("event {}", i), "id"));
    return fakes::make_segment(key, events);
}

std::string hex(const std::string& bytes) {
    std::string dump;
    for (std::size_t line = 0; line < bytes.size(); line += 16) {
        dump += fmt::format("{:08x} ", line);
        for (std::size_t i = line; i < std::min(line + 16, bytes.size()); ++i)
            dump += fmt::format(" {:02x}", static_cast<unsigned char>(bytes[i]));
        dump += '\n';
    }
    return dump;
}

TEST(Record, ComesBackAsItWas) {
    auto written = make_event(std::string("\0 ü\n", 5), "an-id");
    written.time = std::chrono::system_clock::time_point(-1'234'567us);
    auto bytes = key.header();
    append_record(bytes, key, bytes.size(), 77, written);
    fakes::memory_disk disk(bytes);
    record_reader reader(disk, 0, &key, tracker::segment_header_size, bytes.size());
    tracker::event read;
    ASSERT_TRUE(reader.next(read));
    EXPECT_EQ(read.id, written.id);
    EXPECT_EQ(read.data, written.data);
    EXPECT_EQ(read.time, written.time);
    EXPECT_EQ(reader.sequence(), 77U);
    EXPECT_EQ(reader.at(), bytes.size());
    EXPECT_FALSE(reader.next(read));
}

TEST(Record, IsTheBytesOfTheWorkedExamples) {
    auto event = make_event("hello", "a1");
    event.time = std::chrono::system_clock::time_point(1'700'000'000'000'000us);
    std::string salt;
    for (char c = 0; c < char{tracker::salt_size}; ++c) salt += c;
    const auto format = support::read_file(SOURCE_DIR "/docs/spool-format.md");
    const auto second = hex(fakes::make_segment(segment_key(salt), {event}));
    EXPECT_NE(format.find(second), std::string::npos) << second;
    const auto first = hex(fakes::make_first_version({event}));
    EXPECT_NE(format.find(first), std::string::npos) << first;
}

TEST(Record, AnyTornTailIsNotRead) {
    const auto bytes = some(3);
    const auto two = some(2);
    for (std::size_t length = two.size(); length < bytes.size(); ++length) {
        const auto all = read(bytes.substr(0, length), true);
        EXPECT_EQ(all.data, (strings{"event 1", "event 2"})) << length;
        EXPECT_EQ(all.end, two.size());
    }
}

TEST(Record, ZerosAndNoiseBehindTheLastAreATornTail) {
    const auto bytes = some(3);
    std::minstd_rand random(1);
    std::string noise(5000, '\0');
    EXPECT_EQ(read(bytes + noise, true).data.size(), 3U);
    for (auto& c : noise) c = static_cast<char>(random());
    const auto all = read(bytes + noise, true);
    EXPECT_EQ(all.data.size(), 3U);
    EXPECT_EQ(all.end, bytes.size());
}

TEST(Record, AnySingleDamagedByteIsNoticedAndTheOthersAreFound) {
    const auto bytes = some(3);
    const auto from = some(1).size();
    for (auto at = from; at < some(2).size(); ++at) {
        auto damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        EXPECT_EQ(read(damaged, true).data, (strings{"event 1", "event 3"})) << at;
    }
}

TEST(Record, ManyAndLargeOnesCrossTheBlocksOfTheReader) {
    std::minstd_rand random(2);
    std::vector<tracker::event> events;
    strings written;
    for (std::uint64_t i = 1; i <= 300; ++i) {
        written.push_back(std::string(random() % 3000 + (i % 100 == 0 ? 400'000 : 0), static_cast<char>('a' + i % 26)));
        events.push_back(make_event(written.back()));
    }
    EXPECT_EQ(read(fakes::make_segment(key, events)).data, written);
}

TEST(Record, ThatStandsAtAnotherPlaceIsNone) {
    const auto bytes = some(2);
    const auto size = some(1).size();
    const auto moved = bytes.substr(0, size) + "x" + bytes.substr(size);
    EXPECT_EQ(read(moved, true).data, strings{"event 1"});
    EXPECT_EQ(read(bytes + bytes.substr(size), true).data.size(), 2U);
}

TEST(SegmentHeader, SurvivesAnySingleDamagedByte) {
    const auto header = key.header();
    ASSERT_EQ(header.size(), tracker::segment_header_size);
    for (std::size_t at = 0; at < header.size(); ++at) {
        auto damaged = header;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x01);
        const auto found = segment_key::read(damaged);
        ASSERT_TRUE(found) << at;
        EXPECT_EQ(found->header(), header);
    }
}

TEST(SegmentHeader, WhoseCopiesAreBothDamagedIsNone) {
    for (std::size_t at = 0; at < tracker::segment_header_size / 2; ++at) {
        auto damaged = key.header();
        for (const auto each : {at, at + tracker::segment_header_size / 2})
            damaged[each] = static_cast<char>(damaged[each] ^ 0x01);
        EXPECT_FALSE(segment_key::read(damaged)) << at;
    }
    EXPECT_FALSE(segment_key::read(""));
}

TEST(SegmentHeader, IsAnotherForEverySegment) {
    EXPECT_NE(segment_key::random().header(), segment_key::random().header());
}

}  // namespace
