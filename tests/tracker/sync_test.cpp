// What has left the spool is on the disk: when the sink file syncs with durability process, and what becomes of a
// segment when it cannot.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/tracker/spool_fakes.hpp"
#include "tracker/file_sink.hpp"

namespace {

namespace fs = std::filesystem;
using fakes::make_event;
using fakes::some_events;
using support::read_file;
using testing::HasSubstr;
using tracker::durability;
using tracker::outcome;
using tracker::verdict;
using strings = std::vector<std::string>;

/// Counts what is synced, and can fail.
class counting_disk final : public tracker::disk {
public:
    int files = 0, directories = 0, error = 0;

    int sync(int file) override {
        struct stat status = {};
        ::fstat(file, &status);
        if (error == 0) synced = status.st_size;
        return count(files);
    }
    int sync_directory(int) override { return count(directories); }
    off_t synced = 0;  ///< bytes of the file that was synced last

private:
    int count(int& calls) {
        ++calls;
        errno = error;
        return error == 0 ? 0 : -1;
    }
};

struct FileSync : testing::Test, fakes::spool_place {
    void deliver(tracker::file_sink& sink, const char* data = "x") const {
        const std::vector<tracker::event> event{make_event(data)};
        sink.deliver(event);
    }
    counting_disk disk;
    fs::path file = fs::path(options.directory) / "events.jsonl";
};

TEST_F(FileSync, IsDoneWhenAskedForAndOnlyWhenThereIsSomething) {
    tracker::file_sink sink(options, book.log, &disk);
    for (int i = 0; i < 100; ++i) deliver(sink);
    EXPECT_EQ(disk.files, 0) << "not one a batch";
    sink.sync();
    EXPECT_EQ(disk.synced, static_cast<off_t>(fs::file_size(file)));
    EXPECT_EQ(disk.directories, 1) << "the file is new";
    sink.sync();
    EXPECT_EQ(disk.files, 1);
    deliver(sink);
    sink.sync();
    EXPECT_EQ(disk.files, 2);
    EXPECT_EQ(disk.directories, 1);
}

TEST_F(FileSync, ReachesWhatAnEarlierRunWrote) {
    {
        tracker::file_sink earlier(options, book.log, &disk);
        deliver(earlier);
    }
    tracker::file_sink sink(options, book.log, &disk);
    sink.sync();
    EXPECT_EQ(disk.files, 1);
    EXPECT_EQ(disk.synced, static_cast<off_t>(fs::file_size(file)));
}

TEST_F(FileSync, ReachesTheFileThatAnotherProcessHasTheLockOf) {
    tracker::file_sink owner(options, book.log);
    deliver(owner);
    tracker::file_sink sink(options, book.log, &disk);
    sink.sync();
    EXPECT_EQ(disk.synced, static_cast<off_t>(fs::file_size(file)));
}

TEST_F(FileSync, ComesBeforeARotationAndBeforeAnotherFileIsOpened) {
    options.file_max_size = 100;
    tracker::file_sink sink(options, book.log, &disk);
    deliver(sink);
    const auto size = static_cast<off_t>(fs::file_size(file));
    deliver(sink);
    EXPECT_EQ(disk.files, 1);
    EXPECT_EQ(disk.synced, size);
    EXPECT_TRUE(fs::exists(file.string() + ".1"));
    fs::rename(file, file.string() + ".moved");
    sink.reopen();
    deliver(sink);
    EXPECT_EQ(disk.files, 2);
    EXPECT_EQ(read_file(file.string() + ".moved").size(), static_cast<std::size_t>(disk.synced));
    EXPECT_EQ(read_file(file).find('\n'), read_file(file).size() - 1) << "one line";
}

TEST_F(FileSync, IsNotDoneWithDurabilityMemoryUnlessAnEarlierRunsEventsAreDelivered) {
    options.durability = durability::memory;
    options.file_max_size = 100;
    tracker::file_sink sink(options, book.log, &disk);
    for (int i = 0; i < 3; ++i) deliver(sink);
    EXPECT_EQ(disk.files, 0);
    sink.sync();
    EXPECT_EQ(disk.files, 1);
    for (int i = 0; i < 2; ++i) deliver(sink);  // the second rotates what the first has written
    EXPECT_EQ(disk.files, 2);
}

TEST_F(FileSync, IsDoneOfACutBeforeAnythingIsWrittenInItsPlace) {
    const auto tear = [this] {
        const auto whole = fs::exists(file) ? read_file(file) : "";
        support::write_file(file, whole + "{\"id\":\"torn");
        return static_cast<off_t>(whole.size());
    };
    fs::create_directories(options.directory);
    tear();
    disk.synced = -1;
    tracker::file_sink sink(options, book.log, &disk);
    EXPECT_EQ(disk.synced, 0) << "of an earlier run";
    deliver(sink);
    const auto whole = tear();
    deliver(sink);
    EXPECT_EQ(disk.synced, whole) << "of another process";
    EXPECT_EQ(disk.files, 2);
}

TEST_F(FileSync, ThatFailsIsToldOnceAndNotDoneAgainOnTheSameFile) {
    tracker::file_sink sink(options, book.log, &disk);
    deliver(sink);
    disk.error = EIO;
    try {
        sink.sync();
        FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& failure) {
        EXPECT_THAT(failure.what(), HasSubstr(file.string() + ": fdatasync: Input/output error"));
    }
    disk.error = 0;
    EXPECT_NO_THROW(sink.sync());
    deliver(sink);
    disk.error = ENOSPC;
    sink.reopen();
    deliver(sink);  // the next file
    disk.error = 0;
    EXPECT_THROW(sink.sync(), std::runtime_error) << "of the file that was let go";
    EXPECT_NO_THROW(sink.sync());
}

TEST_F(FileSync, ThatFailsBeforeARotationIsARefusalAndWhatWasWrittenIsKeptWhole) {
    options.file_max_size = 100;
    tracker::file_sink sink(options, book.log, &disk);
    deliver(sink);
    disk.error = EIO;
    EXPECT_THROW(deliver(sink), std::runtime_error);
    disk.error = 0;
    deliver(sink);
    EXPECT_THROW(sink.sync(), std::runtime_error);
    EXPECT_TRUE(fs::exists(file.string() + ".1"));
}

/// A spool with a sink whose sync a test sees.
struct SpoolSync : testing::Test, fakes::spool_place {
    SpoolSync() {
        options.segment_bytes = 4096;
        options.batch_events = 1;
    }
    std::unique_ptr<tracker::spool> open() {
        auto made = std::make_unique<tracker::spool>(options, book.log);
        made->before_removal([this] {
            at_sync.push_back(segments().size());
            if (fails) throw std::runtime_error("events.jsonl: fdatasync: Input/output error");
        });
        return made;
    }
    strings deliver(tracker::spool& spool, std::size_t batches, std::size_t sink = 0) const {
        strings data;
        tracker::batch batch(options);
        for (std::size_t i = 0; i < batches && spool.of_sink(sink).take(batch); ++i) {
            for (const auto& event : batch.events) data.push_back(event.data);
            spool.of_sink(sink).settle(batch, outcome::delivered);
        }
        return data;
    }
    void append(tracker::spool& spool, int events) const {
        for (int i = 0; i < events; ++i) ASSERT_EQ(spool.append(some_events({large(i)})), verdict::accepted);
    }
    static std::string large(int number) { return std::string(3000, static_cast<char>('a' + number)); }

    std::vector<std::size_t> at_sync;  ///< how many segments there were at each
    bool fails = false;
};

TEST_F(SpoolSync, ComesOnceBeforeEachSegmentGoes) {
    const auto spool = open();
    append(*spool, 4);
    ASSERT_EQ(segments().size(), 4U);
    deliver(*spool, 4);
    EXPECT_EQ(at_sync, (std::vector<std::size_t>{4, 3, 2}));
    EXPECT_EQ(segments().size(), 1U) << "the last is written to";
    append(*spool, 1);
    EXPECT_EQ(segments().size(), 2U) << "who appends waits for no sink";
    deliver(*spool, 1);
    EXPECT_EQ(segments().size(), 1U);
    spool->finish();
    EXPECT_EQ(segments().size(), 0U);
    EXPECT_EQ(at_sync, (std::vector<std::size_t>{4, 3, 2, 2, 1}));
    EXPECT_TRUE(fs::is_empty(spool_directory()));
}

TEST_F(SpoolSync, ComesBeforeWhatAnEarlierRunHadDeliveredGoes) {
    {
        const auto earlier = open();
        append(*earlier, 2);
        deliver(*earlier, 2);
        fs::copy(tracker::sets_in(spool_directory()).front(), spool_directory() / "of-a-killed-run");
    }
    at_sync.clear();
    const auto next = open();
    append(*next, 1);
    deliver(*next, 1);
    EXPECT_EQ(at_sync, std::vector<std::size_t>{2}) << "its last segment, and the one of this run";
    EXPECT_EQ(segments().size(), 1U);
}

TEST_F(SpoolSync, ThatFailsKeepsTheSegmentsAndTheNextRunDeliversThemAgain) {
    options.sinks = {"file", "other"};
    {
        const auto spool = open();
        append(*spool, 3);
        deliver(*spool, 3, 1);
        deliver(*spool, 1);
        fails = true;
        deliver(*spool, 1);
        fails = false;
        deliver(*spool, 1);
        append(*spool, 1);
        deliver(*spool, 1, 1);
        deliver(*spool, 1);
        EXPECT_EQ(spool->account().delivered, 4U);
        EXPECT_THAT(log(), HasSubstr("stays in the spool, for the next run to deliver again: events.jsonl: fdatasync"));
    }
    const auto next = open();
    const auto again = deliver(*next, 2);
    ASSERT_FALSE(again.empty());
    EXPECT_EQ(again.front(), large(1));
    EXPECT_TRUE(next->account().balanced());
}

}  // namespace
