// A disk that cannot be read has lost nothing: every reading call fails once, for a while, or for good. And what is no
// segment is set aside.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <set>
#include <thread>

#include "tests/support/in_time.hpp"
#include "tests/tracker/failing_disk.hpp"
#include "tests/tracker/spool_fakes.hpp"

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using tracker::outcome;
using tracker::verdict;
using strings = std::vector<std::string>;

using fakes::failing_disk;
using fakes::for_good;
constexpr auto errors = fakes::passing_errors;

struct SpoolReading : testing::Test, fakes::spool_place {
    SpoolReading() {
        options.segment_bytes = 4096;
        options.batch_events = 2;
    }

    /// Two segments, of which a batch has been delivered.
    void run_before() {
        tracker::spool spool(options, book.log);
        ASSERT_EQ(spool.append(fakes::some_events({"1", "2", "3", "4"})), verdict::accepted);
        ASSERT_EQ(spool.append(fakes::some_events({std::string(4000, 'x'), "6"})), verdict::accepted);
        tracker::batch batch(options);
        ASSERT_TRUE(spool.of_sink(0).take(batch));
        spool.of_sink(0).settle(batch, outcome::delivered);
    }

    /// What the worker of a sink does.
    static void deliver(tracker::spool& from, const tracker::options& options, strings& into) {
        tracker::batch batch(options);
        while (from.of_sink(0).take(batch)) {
            for (const auto& event : batch.events) into.push_back(event.data.substr(0, 1));
            from.of_sink(0).settle(batch, outcome::delivered);
        }
    }

    void expect_kept(const tracker::account& account) {
        EXPECT_TRUE(account.balanced());
        EXPECT_TRUE(account.dropped.empty());
        for (const auto& each : std::filesystem::recursive_directory_iterator(spool_directory()))
            EXPECT_NE(each.path().extension(), ".damaged") << each.path();
    }

    std::unique_ptr<tracker::spool> open() { return std::make_unique<tracker::spool>(options, book.log, &disk); }

    /// A run over a disk that fails so; true when it did.
    bool fails_and_is_well_again(int call, int times, int error) {
        run_before();
        disk.fail(0, 0, 0);  // what the run before, which may have ended first, has left of its failures
        disk.failed = 0;
        const auto spool = open();
        disk.fail(call, times, error);
        EXPECT_EQ(spool->append(fakes::some_events({"n"})), verdict::accepted);
        strings all;
        std::jthread worker([&] { deliver(*spool, options, all); });
        EXPECT_TRUE(fakes::eventually([&] { return spool->account().delivered == 5; })) << call;
        EXPECT_TRUE(fakes::eventually([&] { return spool->readable(); })) << call;
        spool->close();
        worker.join();
        std::ranges::sort(all);
        EXPECT_EQ(all, (strings{"3", "4", "6", "n", "x"})) << call;
        expect_kept(spool->account());
        std::uint64_t counted = 0;
        for (const auto& [name, count] : spool->disk_errors()) counted += count;
        EXPECT_EQ(counted, static_cast<std::uint64_t>(disk.failed));
        return disk.failed > 0;
    }

    failing_disk disk;
};

TEST_F(SpoolReading, EachCallThatFailsOnceCostsNothing) {
    int call = 0;
    while (fails_and_is_well_again(call, 1, errors[static_cast<std::size_t>(call) % errors.size()])) {
        ASSERT_FALSE(HasFailure());
        ASSERT_LT(++call, 200);
    }
    EXPECT_GT(call, 12);  // lock, notes, names, segments …
    EXPECT_THAT(log(), HasSubstr("nothing is given up"));
    EXPECT_THAT(log(), HasSubstr("the spool can be read again after 1 failures"));
}

TEST_F(SpoolReading, ADiskThatComesBackAfterAWhileHasCostNothing) {
    int call = 0;
    while (fails_and_is_well_again(call, 12, errors[static_cast<std::size_t>(call) % errors.size()])) {
        ASSERT_FALSE(HasFailure());
        ASSERT_LT(++call, 200);
    }
    EXPECT_GT(call, 12);
}

TEST_F(SpoolReading, WhenItFailsForGoodAStopLeavesEverythingInTheSpool) {
    for (int call = 0;; ++call) {
        run_before();
        const auto before = disk.failed.load();
        strings all;
        {
            const auto spool = open();
            disk.fail(call, for_good, errors[static_cast<std::size_t>(call) % errors.size()]);
            ASSERT_EQ(spool->append(fakes::some_events({"n"})), verdict::accepted);
            std::jthread worker([&] { deliver(*spool, options, all); });
            ASSERT_TRUE(fakes::eventually([&] { return disk.failed > before || spool->account().delivered == 5; }));
            const bool failed = disk.failed > before;
            if (failed) {
                ASSERT_TRUE(fakes::eventually([&] { return !spool->readable(); })) << call;
            }
            const auto stop = fakes::clock::now();
            spool->close();
            worker.join();
            EXPECT_TRUE(support::in_time(fakes::clock::now() - stop, 1s));
            const auto account = spool->account();
            EXPECT_EQ(account.accepted + account.recovered, account.delivered + account.queued);
            expect_kept(account);
            if (!failed) break;
            ASSERT_LT(call, 200);
        }
        disk.fail(0, 0, 0);
        const auto next = open();
        ASSERT_EQ(next->append(fakes::some_events({"z"})), verdict::accepted);
        tracker::batch batch(options);
        while (next->account().delivered == 0 || next->account().queued > 0) {
            ASSERT_TRUE(next->of_sink(0).take(batch));
            for (const auto& event : batch.events) all.push_back(event.data.substr(0, 1));
            next->of_sink(0).settle(batch, outcome::delivered);
        }
        const std::set<std::string> found(all.begin(), all.end());
        EXPECT_EQ(found, (std::set<std::string>{"3", "4", "6", "n", "x", "z"})) << call;
        if (HasFailure()) return;
    }
}

TEST_F(SpoolReading, IsNotReadyWhileItFails) {
    run_before();
    const auto spool = open();
    EXPECT_TRUE(spool->readable());
    disk.fail(0, for_good, EIO);
    strings all;
    std::jthread worker([&] { deliver(*spool, options, all); });
    EXPECT_TRUE(fakes::eventually([&] { return !spool->readable(); }));
    EXPECT_EQ(spool->append(fakes::some_events({"n"})), verdict::accepted);  // writing is well
    disk.fail(0, 0, 0);
    EXPECT_TRUE(fakes::eventually([&] { return spool->readable() && spool->account().delivered == 5; }));
    EXPECT_GT(spool->disk_errors().at("readdir"), 0U);
    EXPECT_THAT(log(), HasSubstr("Input/output error"));
    spool->close();
}

TEST_F(SpoolReading, AStopEndsItWithinABlockWhateverIsLeftAndTheNextRunGoesOn) {
    options.spool_bytes = std::size_t{1} << 30U;
    for (const bool damaged : {false, true}) {
        auto bytes = fakes::make_segment(fakes::known_key(), {fakes::make_event(std::string(30'000'000, 'x'))});
        if (damaged) bytes[tracker::segment_header_size] = static_cast<char>(bytes[tracker::segment_header_size] ^ 1);
        leave(bytes);
        const auto spool = open();
        disk.read_bytes = 0;
        disk.has_read = [&] {
            if (disk.read_bytes > 1'000'000) spool->close();
        };
        tracker::batch batch(options);
        EXPECT_FALSE(spool->of_sink(0).take(batch));
        EXPECT_LT(disk.read_bytes, 2'000'000);
        EXPECT_EQ(spool->recovery_left(), 0U);
        EXPECT_EQ(support::read_file(segments().at(0)), bytes);
        disk.has_read = nullptr;
    }
}

TEST_F(SpoolReading, AStopEndsTheSearchBehindDamageOfADeliveryToo) {
    options.spool_bytes = std::size_t{1} << 30U;
    const auto spool = open();
    ASSERT_EQ(spool->append(fakes::some_events({std::string(10'000'000, 'x'), "behind"})), verdict::accepted);
    const int file = ::open(segments().at(0).c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::pwrite(file, "garbled", 7, tracker::segment_header_size), 7);
    ::close(file);
    spool->close();
    disk.read_bytes = 0;
    tracker::batch batch(options);
    EXPECT_FALSE(spool->of_sink(0).take(batch));
    EXPECT_LT(disk.read_bytes, 2'000'000);
    EXPECT_EQ(spool->account().queued, 2U);
    EXPECT_THAT(log(), HasSubstr("stay in the spool"));
}

TEST_F(SpoolReading, SaysHowMuchIsToBeLookedAt) {
    const auto bytes = fakes::make_segment(fakes::known_key(), {fakes::make_event(std::string(3'000'000, 'x'))});
    options.spool_bytes = std::size_t{1} << 30U;
    leave(bytes);
    const auto spool = open();
    EXPECT_GE(spool->recovery_left(), bytes.size()) << "before the first look too";
    EXPECT_LT(spool->recovery_left(), bytes.size() + 1'000) << "and the notes beside it";
    std::set<std::uint64_t> seen;
    disk.has_read = [&] { seen.insert(spool->recovery_left()); };
    tracker::batch batch(options);
    ASSERT_TRUE(spool->of_sink(0).take(batch));
    EXPECT_GT(seen.size(), 5U);
    EXPECT_GE(*seen.rbegin(), bytes.size());
    EXPECT_LT(*seen.rbegin(), bytes.size() + 1'000);
    EXPECT_EQ(spool->recovery_left(), 0U);
    spool->of_sink(0).settle(batch, outcome::given_up);
}

/// A name for a segment that something else has.
struct NoSegment : SpoolReading {
    void expect_set_aside(const std::filesystem::path& path, const std::string& line) {
        leave(fakes::make_segment(fakes::known_key(), fakes::some_events({"good"})), "00000002.seg");
        const auto before = fakes::clock::now();
        const auto spool = open();
        tracker::batch batch(options);
        ASSERT_TRUE(spool->of_sink(0).take(batch));
        EXPECT_EQ(batch.events.at(0).data, "good");
        spool->of_sink(0).settle(batch, outcome::delivered);
        EXPECT_TRUE(support::in_time(fakes::clock::now() - before, 2s));
        EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(path)));
        EXPECT_TRUE(std::filesystem::exists(std::filesystem::symlink_status(path.string() + ".damaged")));
        EXPECT_THAT(log(), HasSubstr(path.string() + line));
        EXPECT_TRUE(spool->readable());
        EXPECT_TRUE(spool->account().balanced());
    }
    std::filesystem::path name(const std::string& name = "00000001.seg") {
        auto path = leave("", name);
        std::filesystem::remove(path);
        return path;
    }
    static constexpr auto no_file = " is not a regular file";
};

/// The lock of the set, too: nobody waits for it, and the events behind it are not held up for good.
struct NoFile : NoSegment, testing::WithParamInterface<const char*> {};

TEST_P(NoFile, AFifoIsSetAsideAndNotWaitedFor) {
    const auto path = name(GetParam());
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    expect_set_aside(path, no_file);
}

TEST_P(NoFile, ADirectoryIsSetAside) {
    const auto path = name(GetParam());
    std::filesystem::create_directory(path);
    expect_set_aside(path, no_file);
}

TEST_P(NoFile, ALinkIsSetAsideAndNotFollowed) {
    const auto path = name(GetParam());
    std::filesystem::create_symlink("/dev/zero", path);
    expect_set_aside(path, no_file);
}

TEST_P(NoFile, ALinkToNothingIsSetAsideAndNotMade) {
    const auto path = name(GetParam());
    std::filesystem::create_symlink("nothing", path);
    expect_set_aside(path, no_file);
    EXPECT_FALSE(std::filesystem::exists(path.parent_path() / "nothing"));
}

TEST_P(NoFile, ASocketIsSetAside) {
    const auto path = name(GetParam());
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    path.string().copy(at.sun_path, sizeof at.sun_path - 1);
    ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    expect_set_aside(path, no_file);
    ::close(socket);
}

TEST_P(NoFile, ADeviceIsSetAsideAndNotRead) {
    const auto path = name(GetParam());
    if (::mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 5)) != 0 || ::access(path.c_str(), R_OK) != 0)
        GTEST_SKIP() << "this kernel makes no devices for us";
    expect_set_aside(path, no_file);
}

INSTANTIATE_TEST_SUITE_P(All, NoFile, testing::Values("00000001.seg", "lock", "delivered.file"),
                         [](const auto& tested) {
                             const std::string name = tested.param;
                             return name == "lock" ? "Lock" : name == "delivered.file" ? "Note" : "Segment";
                         });

TEST_F(NoSegment, ALockThatIsNoFileIsSetAsideBesideAnEarlierOne) {
    const auto path = name("lock");
    std::filesystem::create_directory(path);
    std::filesystem::create_directories(path.string() + ".damaged/full");
    expect_set_aside(path, no_file);
    EXPECT_TRUE(std::filesystem::is_directory(path.string() + ".2.damaged"));
}

/// One of two processes that find it so makes another; the second must not set that aside.
TEST_F(NoSegment, ALockThatIsNoFileIsSetAsideByOneProcessAtATime) {
    const auto path = name("lock");
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const auto kept = leave(fakes::make_segment(fakes::known_key(), fakes::some_events({"good"})), "00000002.seg");
    const tracker::descriptor other(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
    const auto spool = open();
    ASSERT_EQ(spool->append(fakes::some_events({"new"})), verdict::accepted);
    tracker::batch batch(options);
    ASSERT_TRUE(spool->of_sink(0).take(batch));
    EXPECT_EQ(batch.events.at(0).data, "new") << "what is there is the other's";
    EXPECT_TRUE(std::filesystem::is_fifo(path));
    EXPECT_TRUE(std::filesystem::exists(kept));
    EXPECT_TRUE(spool->readable());
}

TEST_F(NoSegment, AnEmptyFileOfTwoGibibytesIsSetAsideAndNotRead) {
    const auto path = name();
    support::write_file(path, "");
    std::filesystem::resize_file(path, std::uintmax_t{2} << 30U);
    expect_set_aside(path, " does not begin like a segment");
    EXPECT_LT(disk.read_bytes, 1'000'000);
}

}  // namespace
