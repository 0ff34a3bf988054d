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

std::string little(std::uint64_t value, int size) {
    std::string text;
    for (; size > 0; --size, value >>= 8U) text += static_cast<char>(value & 0xffU);
    return text;
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
    const auto second = hex(fakes::make_segment(segment_key(salt, fakes::version::second), {event}));
    EXPECT_NE(format.find(second), std::string::npos) << second;
    const auto third = hex(fakes::make_segment(
        segment_key(salt), {fakes::with_headers(event, {{"datacontenttype", "text/plain"}, {"partitionkey", "k"}})}));
    EXPECT_NE(format.find(third), std::string::npos) << third;
    const auto first = hex(fakes::make_first_version({event}));
    EXPECT_NE(format.find(first), std::string::npos) << first;
}

TEST(Record, BringsItsHeadersBackAndWithoutAnyIsTheBytesOfVersionTwo) {
    auto plain = make_event("data", "a");
    const auto rich = fakes::with_headers(make_event("data", "b"), {{"datacontenttype", "text/plain"}, {"x", "ü"}});
    const auto bytes = fakes::make_segment(key, {plain, rich, make_event("", "c")});
    fakes::memory_disk disk(bytes);
    record_reader reader(disk, 0, &key, tracker::segment_header_size, bytes.size());
    tracker::event read;
    ASSERT_TRUE(reader.next(read));
    EXPECT_TRUE(read.headers.empty());
    EXPECT_EQ(reader.at() - tracker::segment_header_size, tracker::smallest_record + 5);
    ASSERT_TRUE(reader.next(read));
    EXPECT_EQ(read.headers, rich.headers);
    EXPECT_EQ(read.headers.find("x"), "ü");
    EXPECT_EQ(read.data, "data");
    ASSERT_TRUE(reader.next(read));
    EXPECT_TRUE(read.headers.empty()) << "those of the one before are not its own";
}

/// By whom, nobody can say: its check is right.
TEST(Record, WhosePayloadIsNoneIsPassedOverByWhoReadsAndByWhoCounts) {
    const auto with = [](const std::string& payload) {
        auto bytes = some(1);
        const auto digest = key.digest(payload);
        const auto length = static_cast<std::uint32_t>(payload.size());
        bytes += little(key.check(bytes.size(), 2, length, digest), 8) + little(digest, 8) + little(length, 4) +
                 little(key.masked(2), 8) + payload;
        append_record(bytes, key, bytes.size(), 3, make_event("event 3"));
        return bytes;
    };
    for (const auto& rest :
         {std::string("\x05\x00id", 4), std::string("\x01\x80i", 3), std::string("\x01\x80i\x09\x00", 5),
          std::string("\x01\x80i\x00\x00", 5), std::string("\x01\x80i\x05\x00\x01\x01\x00X1", 10)}) {
        const auto bytes = with(std::string(8, '\0') + rest);
        EXPECT_EQ(read(bytes, true).data, (strings{"event 1", "event 3"})) << rest.size();
        fakes::memory_disk disk(bytes);
        record_reader counter(disk, 0, &key, tracker::segment_header_size, bytes.size());
        EXPECT_TRUE(counter.pass());
        EXPECT_FALSE(counter.pass());
        EXPECT_TRUE(counter.skip_damage() && counter.pass());
        EXPECT_EQ(counter.sequence(), 3U);
    }
}

/// An id may be that long in version 2, and its length is no sign of headers there.
TEST(Record, OfVersionTwoWithALongIdIsReadAsThatVersionHasIt) {
    const auto second = fakes::known_key('s', fakes::version::second);
    auto bytes = second.header();
    std::string payload(8, '\0');
    payload += std::string("\x00\x80", 2) + std::string(0x8000, 'i') + "data";
    const auto digest = second.digest(payload);
    const auto length = static_cast<std::uint32_t>(payload.size());
    bytes += little(second.check(bytes.size(), 1, length, digest), 8) + little(digest, 8) + little(length, 4) +
             little(second.masked(1), 8) + payload;
    fakes::memory_disk disk(bytes);
    record_reader reader(disk, 0, &second, tracker::segment_header_size, bytes.size());
    tracker::event read;
    ASSERT_TRUE(reader.next(read));
    EXPECT_EQ(read.id.size(), 0x8000U);
    EXPECT_EQ(read.data, "data");
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

TEST(SegmentHeader, SaysOfWhichVersionItIs) {
    const auto second = segment_key::read(fakes::known_key('s', fakes::version::second).header());
    const auto third = segment_key::read(key.header());
    ASSERT_TRUE(second && third);
    EXPECT_EQ(second->of(), fakes::version::second);
    EXPECT_EQ(third->of(), fakes::version::third);
    auto mixed = key.header();
    for (const auto copy : {std::size_t{0}, std::size_t{1}})
        mixed[copy * tracker::segment_header_size / 2 + 6] = '\x02';
    EXPECT_FALSE(segment_key::read(mixed)) << "the version is in the check";
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
