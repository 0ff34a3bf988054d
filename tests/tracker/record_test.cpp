#include "tracker/record.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "tests/support/process.hpp"
#include "tests/tracker/fakes.hpp"
#include "tracker/descriptor.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::make_event;
using tracker::append_record;
using tracker::record_reader;

struct Record : testing::Test {
    int file_of(const std::string& bytes) {
        const auto path = root.path() / "bytes";
        support::write_file(path, bytes);
        file = tracker::descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        return file.get();
    }
    std::vector<std::string> read(const std::string& bytes, bool over_damage = false) {
        record_reader reader(file_of(bytes), 0, bytes.size());
        std::vector<std::string> all;
        tracker::event event;
        do {
            while (reader.next(event)) all.push_back(event.data);
        } while (over_damage && reader.at() != bytes.size() && reader.skip_damage());
        end = reader.at();
        return all;
    }
    static std::string three() {
        std::string bytes;
        for (std::uint64_t i = 1; i <= 3; ++i) append_record(bytes, i, make_event(fmt::format("event {}", i), "id"));
        return bytes;
    }

    support::temporary_directory root;
    tracker::descriptor file;
    std::uint64_t end = 0;
};

using strings = std::vector<std::string>;

TEST_F(Record, ComesBackAsItWas) {
    auto written = make_event(std::string("\0 ü\n", 5), "an-id");
    written.time = std::chrono::system_clock::time_point(-1'234'567us);
    std::string bytes;
    append_record(bytes, 77, written);
    record_reader reader(file_of(bytes), 0, bytes.size());
    tracker::event read;
    ASSERT_TRUE(reader.next(read));
    EXPECT_EQ(read.id, written.id);
    EXPECT_EQ(read.data, written.data);
    EXPECT_EQ(read.time, written.time);
    EXPECT_EQ(reader.sequence(), 77U);
    EXPECT_EQ(reader.at(), bytes.size());
    EXPECT_FALSE(reader.next(read));
}

TEST_F(Record, IsTheBytesOfTheWorkedExample) {
    auto event = make_event("hello", "a1");
    event.time = std::chrono::system_clock::time_point(1'700'000'000'000'000us);
    std::string bytes(tracker::segment_magic);
    append_record(bytes, 1, event);
    std::string dump;
    for (std::size_t line = 0; line < bytes.size(); line += 16) {
        dump += fmt::format("{:08x} ", line);
        for (std::size_t i = line; i < std::min(line + 16, bytes.size()); ++i)
            dump += fmt::format(" {:02x}", static_cast<unsigned char>(bytes[i]));
        dump += '\n';
    }
    const auto format = support::read_file(SOURCE_DIR "/docs/spool-format.md");
    EXPECT_NE(format.find(dump), std::string::npos) << dump;
}

TEST_F(Record, AnyTornTailIsNotRead) {
    const auto bytes = three();
    std::string two;
    for (std::uint64_t i = 1; i <= 2; ++i) append_record(two, i, make_event(fmt::format("event {}", i), "id"));
    for (std::size_t length = two.size(); length < bytes.size(); ++length) {
        EXPECT_EQ(read(bytes.substr(0, length)), (strings{"event 1", "event 2"})) << length;
        EXPECT_EQ(end, two.size());
    }
}

TEST_F(Record, ZerosAndNoiseBehindTheLastAreATornTail) {
    const auto bytes = three();
    std::minstd_rand random(1);
    std::string noise(5000, '\0');
    EXPECT_EQ(read(bytes + noise, true).size(), 3U);
    for (auto& c : noise) c = static_cast<char>(random());
    EXPECT_EQ(read(bytes + noise, true).size(), 3U);
    EXPECT_EQ(end, bytes.size());
}

TEST_F(Record, AnySingleDamagedByteIsNoticedAndTheOthersAreFound) {
    const auto bytes = three();
    const auto each = bytes.size() / 3;
    for (std::size_t at = each; at < 2 * each; ++at) {
        auto damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        EXPECT_EQ(read(damaged, true), (strings{"event 1", "event 3"})) << at;
    }
}

TEST_F(Record, ManyAndLargeOnesCrossTheBlocksOfTheReader) {
    std::string bytes;
    std::minstd_rand random(2);
    strings written;
    for (std::uint64_t i = 1; i <= 300; ++i) {
        written.push_back(std::string(random() % 3000 + (i % 100 == 0 ? 400'000 : 0), static_cast<char>('a' + i % 26)));
        append_record(bytes, i, make_event(written.back()));
    }
    EXPECT_EQ(read(bytes), written);
}

}  // namespace
