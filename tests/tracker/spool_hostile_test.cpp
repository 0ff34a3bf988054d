// What clients write is in the spool, and some know how it is written: whatever happens to a file of theirs, nothing is
// read from it that was not accepted, and in a time that grows with its bytes.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/support/in_time.hpp"
#include "tests/tracker/spool_fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::make_event;
using testing::HasSubstr;
using tracker::segment_key;
using events = std::vector<tracker::event>;

/// The one that the client does not know.
const segment_key key(std::string_view("a salt that no client ever sees!"));

events forged(int count) {
    events all;
    for (int i = 0; i < count; ++i) all.push_back(make_event("forged", fmt::format("f{}", i)));
    return all;
}

/// What somebody may send who knows the format, the place where it will stand and the sequence of the next record.
std::vector<std::string> guesses(std::size_t place) {
    const auto own = fakes::known_key('\0');
    std::string exact, plain, old;
    for (std::uint64_t sequence = 2; sequence < 5; ++sequence)
        append_record(exact, own, place + exact.size(), sequence, forged(1)[0]);
    for (std::uint64_t sequence = 2; sequence < 5; ++sequence)
        append_record(plain, own, plain.size(), own.masked(own.masked(sequence)), forged(1)[0]);
    for (std::uint64_t sequence = 1; sequence < 6; ++sequence) fakes::append_first_version(old, sequence, forged(1)[0]);
    return {exact,
            plain,
            old,
            fakes::make_segment(own, forged(2)),
            fakes::make_first_version(forged(2)),
            std::string(150, '\0'),
            std::string(150, '\xff')};
}

/// Of everything that an event is.
std::set<std::string> ids_of(const events& all) {
    std::set<std::string> ids;
    for (const auto& event : all) ids.insert(event.id + "=" + event.data + "/" + std::string(event.headers.encoded()));
    return ids;
}

/// All that a reader finds, damage or not.
events all_in(const std::string& bytes, bool first_version = false) {
    const auto found = segment_key::read(std::string_view(bytes).substr(0, tracker::segment_header_size));
    if (!found && !first_version) return {};
    fakes::memory_disk disk(bytes);
    const auto begin = first_version ? tracker::first_magic.size() : tracker::segment_header_size;
    tracker::record_reader reader(disk, 0, first_version ? nullptr : &*found, begin, bytes.size());
    events all;
    tracker::event event;
    do {
        while (reader.next(event)) all.push_back(event);
    } while (reader.at() != bytes.size() && reader.skip_damage());
    return all;
}

/// Everything found has been accepted; how many there were.
std::size_t lawful(const std::string& bytes, const std::set<std::string>& accepted, bool first_version = false) {
    const auto found = ids_of(all_in(bytes, first_version));
    for (const auto& each : found) EXPECT_TRUE(accepted.contains(each)) << each.substr(0, 20);
    return found.size();
}

/// Every cut, every flip, and what a machine that lost its power may have left behind a cut. Against bytes of
/// elsewhere, at the very place where a record would begin, the first version has nothing.
void damage(const std::string& bytes, const std::set<std::string>& accepted, bool first_version) {
    for (std::size_t at = 0; at <= bytes.size(); ++at) {
        SCOPED_TRACE(at);
        const auto head = bytes.substr(0, at);
        lawful(head, accepted, first_version);
        lawful(head + std::string(bytes.size() - at, '\0'), accepted, first_version);
        if (!first_version) lawful(head + bytes.substr(at / 2, 300), accepted, first_version);
        if (at == bytes.size()) break;
        auto flipped = bytes;
        flipped[at] = static_cast<char>(flipped[at] ^ 1 << at % 8);
        lawful(flipped, accepted, first_version);
        lawful(head + bytes.substr(at + 1), accepted, first_version);
        if (testing::Test::HasFailure()) return;
    }
}

TEST(HostileData, IsNeverReadAsARecordWhateverBecomesOfItsFile) {
    const auto place = tracker::segment_header_size + tracker::smallest_record + 2;
    for (const auto& guess : guesses(place)) {
        const events sent{make_event(guess, "h1"), make_event("", "e"), make_event(guess + guess, "h2")};
        const auto bytes = fakes::make_segment(key, sent);
        ASSERT_EQ(all_in(bytes).size(), sent.size());
        damage(bytes, ids_of(sent), false);
        if (HasFailure()) return;
    }
}

/// Where the data would begin, had the event no headers; and a value of a header that is a guess itself.
TEST(HostileData, WithHeadersIsNeverReadAsARecordEither) {
    const auto place = tracker::segment_header_size + tracker::smallest_record + 2;
    for (const auto& guess : guesses(place)) {
        std::string printable;
        for (const char c : guess) printable += c < ' ' || c == '\x7F' ? ' ' : c;
        std::string length(1, '\x1a');
        const events sent{
            fakes::with_headers(make_event(guess, "h1"), {{"datacontenttype", "text/plain"}, {"x", printable}}),
            make_event(length + guess, "e"), fakes::with_headers(make_event("", "h2"), {{"partitionkey", printable}})};
        const auto bytes = fakes::make_segment(key, sent);
        ASSERT_EQ(ids_of(all_in(bytes)), ids_of(sent));
        damage(bytes, ids_of(sent), false);
        if (HasFailure()) return;
    }
}

TEST(HostileData, IsNeverReadAsARecordOfTheSecondVersionEither) {
    const segment_key second("a salt that no client ever sees!", fakes::version::second);
    for (const auto& guess : guesses(tracker::segment_header_size + tracker::smallest_record + 2)) {
        const events sent{make_event(guess, "h1"), make_event("", "e"), make_event(guess + guess, "h2")};
        const auto bytes = fakes::make_segment(second, sent);
        ASSERT_EQ(ids_of(all_in(bytes)), ids_of(sent));
        damage(bytes, ids_of(sent), false);
        if (HasFailure()) return;
    }
}

TEST(HostileData, IsNeverReadAsARecordOfTheFirstVersionEither) {
    for (const auto& guess : guesses(tracker::first_magic.size() + 28)) {
        const events sent{make_event(guess, "h1"), make_event("", "e"), make_event(guess + guess, "h2")};
        const auto bytes = fakes::make_first_version(sent);
        ASSERT_EQ(all_in(bytes, true).size(), sent.size());
        damage(bytes, ids_of(sent), true);
        if (HasFailure()) return;
    }
}

TEST(HostileData, ManyRandomWoundsAtOnceForgeNothingAndHideNoWholeRecordBehindThem) {
    std::minstd_rand random(7);
    for (int round = 0; round < 200; ++round) {
        events sent;
        for (int i = 0; i < 30; ++i) {
            const auto kinds = guesses(random() % 4000);
            sent.push_back(make_event(kinds[random() % kinds.size()], fmt::format("{}-{}", round, i)));
        }
        auto bytes = fakes::make_segment(key, sent);
        for (auto wounds = 1 + random() % 5; wounds > 0; --wounds) {
            const auto at = tracker::segment_header_size + random() % (bytes.size() - tracker::segment_header_size);
            const auto length = std::min<std::size_t>(1 + random() % 100, bytes.size() - at);
            bytes.replace(at, length, std::string(length, static_cast<char>(random())));
        }
        EXPECT_GE(lawful(bytes, ids_of(sent)), 30U - 5 * 2);
    }
}

/// A megabyte of heads of the first version, each with a length that fits.
std::string false_heads(std::size_t bytes) {
    std::string data;
    while (data.size() < bytes) {
        std::string record;
        fakes::append_first_version(record, 2 + data.size() / 26, make_event(""));
        record[4] = '\x00';
        record[5] = '\x40';
        data += record.substr(0, 16);
    }
    return data;
}

TEST(HostileData, CostsNoMoreThanItsBytesToReadBehindDamage) {
    const auto data = false_heads(std::size_t{8} << 20U);
    const auto segment = fakes::make_segment(key, {make_event(data, "h"), make_event("", "e")});
    for (const auto wound : {tracker::segment_header_size, segment.size() / 2}) {
        auto bytes = segment;
        bytes[wound] = static_cast<char>(bytes[wound] ^ 1);
        fakes::memory_disk disk(bytes);
        tracker::record_reader reader(disk, 0, &key, tracker::segment_header_size, bytes.size());
        const auto before = fakes::clock::now();
        EXPECT_FALSE(reader.pass());
        ASSERT_TRUE(reader.skip_damage());
        ASSERT_TRUE(reader.pass());
        EXPECT_EQ(reader.sequence(), 2U);
        EXPECT_LE(disk.read_bytes, 2 * bytes.size());
        EXPECT_TRUE(support::in_time(fakes::clock::now() - before, 2s));  // some 10 ms; for the square it was minutes
    }
}

struct HostileSpool : testing::Test, fakes::spool_place {
    std::vector<std::string> ids_recovered() {
        tracker::spool spool(options, book.log);
        tracker::batch batch(options);
        EXPECT_EQ(spool.append(fakes::some_events({"fresh"})), tracker::verdict::accepted);
        std::vector<std::string> ids;
        for (std::size_t all = 0; all == 0 || spool.account().queued > 0;) {
            EXPECT_TRUE(spool.of_sink(0).take(batch));
            all += batch.events.size();
            for (const auto& event : batch.events)
                if (event.data != "fresh") ids.push_back(event.id);
            spool.of_sink(0).settle(batch, tracker::outcome::delivered);
        }
        EXPECT_TRUE(spool.account().balanced());
        EXPECT_EQ(spool.account().recovered, ids.size());
        return ids;
    }
    void never_writes_to(const std::string& bytes) {
        const auto path = leave(bytes);
        tracker::spool spool(options, book.log);
        ASSERT_EQ(spool.append(fakes::some_events({"fresh"})), tracker::verdict::accepted);
        tracker::batch batch(options);
        ASSERT_TRUE(spool.of_sink(0).take(batch));
        EXPECT_EQ(support::read_file(path), bytes);
        for (const auto& segment : segments()) {
            if (segment == path) continue;
            EXPECT_TRUE(support::read_file(segment).starts_with(tracker::segment_magic));
        }
        spool.of_sink(0).settle(batch, tracker::outcome::given_up);
        std::filesystem::remove_all(path.parent_path());
    }
};

TEST_F(HostileSpool, ATornEventFullOfRecordsBringsNoneOfThemBack) {
    const auto bytes = fakes::make_segment(
        key, {make_event("x", "honest"), make_event(fakes::make_first_version(forged(5000)), "hostile")});
    leave(bytes.substr(0, bytes.size() - 1));
    EXPECT_EQ(ids_recovered(), std::vector<std::string>{"honest"});
    EXPECT_THAT(log(), HasSubstr("cut a torn tail of"));
}

TEST_F(HostileSpool, ASegmentOfTheFirstVersionIsDeliveredAndGoes) {
    const auto path = leave(fakes::make_first_version({make_event("x", "a"), make_event("y", "b")}));
    EXPECT_EQ(ids_recovered(), (std::vector<std::string>{"a", "b"}));
    EXPECT_FALSE(std::filesystem::exists(path.parent_path()));
}

TEST_F(HostileSpool, ATornSegmentOfTheFirstVersionIsBelievedUpToThereAndKept) {
    const auto bytes = fakes::make_first_version(
        {make_event("x", "honest"), make_event(fakes::make_first_version(forged(50)), "hostile")});
    const auto torn = bytes.substr(0, bytes.size() - 1);
    const auto path = leave(torn);
    EXPECT_EQ(ids_recovered(), std::vector<std::string>{"honest"});
    EXPECT_EQ(support::read_file(path.string() + ".damaged"), torn);
    EXPECT_THAT(log(), HasSubstr("cannot be told from forgery"));
}

TEST_F(HostileSpool, DataWhereAHeaderWasIsNoSegmentOfTheFirstVersion) {
    std::filesystem::path path;
    {
        tracker::spool spool(options, book.log);
        ASSERT_EQ(spool.append(fakes::some_events({"honest"})), tracker::verdict::accepted);
        path = segments().at(0);
    }
    const auto written = fakes::make_first_version(forged(20));
    support::write_file(path, written);
    EXPECT_EQ(ids_recovered(), std::vector<std::string>{});
    EXPECT_EQ(support::read_file(path.string() + ".damaged"), written);
    EXPECT_THAT(log(), HasSubstr("does not begin like a segment"));
}

TEST_F(HostileSpool, ASegmentOfTheSecondVersionIsDeliveredAndGoesDamagedOrNot) {
    const auto second = fakes::known_key('s', fakes::version::second);
    auto bytes = fakes::make_segment(second, {make_event("x", "a"), make_event("y", "b"), make_event("z", "c")});
    const auto whole = leave(bytes);
    EXPECT_EQ(ids_recovered(), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_FALSE(std::filesystem::exists(whole.parent_path()));
    const auto size = fakes::make_segment(second, {make_event("x", "a")}).size();
    bytes[size + 3] = static_cast<char>(bytes[size + 3] ^ 1);
    leave(bytes);
    EXPECT_EQ(ids_recovered(), (std::vector<std::string>{"a", "c"}));
}

TEST_F(HostileSpool, HeadersThatWereAcceptedComeBackInTheNextRun) {
    const auto rich = fakes::with_headers(make_event("x", "a"), {{"datacontenttype", "text/plain"}});
    {
        tracker::spool spool(options, book.log);
        ASSERT_EQ(spool.append(std::vector{rich, make_event("y", "b")}), tracker::verdict::accepted);
    }
    tracker::spool spool(options, book.log);
    tracker::batch batch(options);
    ASSERT_TRUE(spool.of_sink(0).take(batch));
    ASSERT_EQ(batch.events.size(), 2U);
    EXPECT_EQ(batch.events[0].headers, rich.headers);
    EXPECT_TRUE(batch.events[1].headers.empty());
    spool.of_sink(0).settle(batch, tracker::outcome::delivered);
}

TEST_F(HostileSpool, NeverWritesToASegmentThatItHasNotMade) {
    for (const auto& bytes : {fakes::make_first_version({make_event("x", "a"), make_event("y", "b")}),
                              fakes::make_segment(fakes::known_key('s', fakes::version::second),
                                                  {make_event("x", "a"), make_event("y", "b")})})
        never_writes_to(bytes);
}

}  // namespace
