#include "lifecycle/note_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/lifecycle/fakes.hpp"

namespace {

using lifecycle::note_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr auto synced = note_file::durability::synced;

std::string written_to(const std::string& path, const std::string& text = "{}") {
    note_file file;
    const auto why = file.open(path);
    return why.empty() ? file.write(text, synced) : why;
}

bool is_device(const std::string& path) {
    struct stat found {};
    return ::lstat(path.c_str(), &found) == 0 && S_ISCHR(found.st_mode);
}

TEST(NoteFile, IsWrittenBesideAndRenamed) {
    const fakes::folder folder;
    const auto path = folder.file("report.json");
    note_file file;
    EXPECT_EQ(file.open(path), "");
    ASSERT_EQ(folder.names().size(), 1U);
    EXPECT_THAT(folder.names()[0], HasSubstr(".tmp")) << "nobody reads half a report";
    EXPECT_EQ(file.write("{}", synced), "");
    EXPECT_THAT(folder.names(), ElementsAre("report.json"));
    EXPECT_EQ(fakes::content_of(path), "{}\n");
}

TEST(NoteFile, ReplacesTheReportOfAnEarlierRun) {
    const fakes::folder folder;
    const auto path = folder.file("report.json");
    for (const char* text : {"{\"a longer one\":1}", "{}"}) {
        note_file file;
        EXPECT_EQ(file.open(path), "");
        EXPECT_EQ(file.write(text, synced), "");
    }
    EXPECT_EQ(fakes::content_of(path), "{}\n");
}

TEST(NoteFile, TakesTheTemporaryFileAwayWhenNothingIsWritten) {
    const fakes::folder folder;
    {
        note_file file;
        EXPECT_EQ(file.open(folder.file("report.json")), "");
        EXPECT_EQ(file.open(folder.file("report.json")), "") << "opening again is nothing new";
    }
    EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(NoteFile, IsNoFileWithAnEmptyPath) {
    note_file file;
    EXPECT_EQ(file.open(""), "");
    EXPECT_EQ(file.write("{}", synced), "");
}

TEST(NoteFile, SaysWhyItCannotBeOpened) {
    note_file file;
    EXPECT_THAT(file.open("/dev/null/report.json"), HasSubstr("cannot open /dev/null/report.json"));
    EXPECT_EQ(file.write("{}", synced), "") << "that was said already";
}

TEST(NoteFile, SaysWhyItCannotBeRenamed) {
    const fakes::folder folder;
    const auto path = folder.file("report.json");
    note_file file;
    ASSERT_EQ(file.open(path), "");
    std::filesystem::create_directory(path);
    EXPECT_THAT(file.write("{}", synced), HasSubstr("cannot rename to " + path));
}

TEST(NoteFile, SaysWhyItCannotBeWritten) {
    if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
    const fakes::folder folder;
    const auto path = folder.file("report.json");
    // The temporary name is not a promise, but a link there leads to a full disk.
    std::filesystem::create_symlink("/dev/full", path + "." + std::to_string(::getpid()) + ".tmp");
    note_file file;
    ASSERT_EQ(file.open(path), "");
    EXPECT_THAT(file.write("{}", synced), HasSubstr("cannot write"));
}

TEST(NoteFile, CanBeWrittenAgain) {
    const fakes::folder folder;
    const auto path = folder.file("report.json");
    note_file file;
    for (const char* text : {"1", "2"}) {
        EXPECT_EQ(file.open(path), "");
        EXPECT_EQ(file.write(text, synced), "");
    }
    EXPECT_EQ(fakes::content_of(path), "2\n");
    EXPECT_THAT(folder.names(), ElementsAre("report.json"));
}

TEST(NoteFile, IsWrittenIntoADeviceAndIntoALinkToOne) {
    const fakes::folder folder;
    const auto device = folder.file("device"), link = folder.file("link");
    if (::mknod(device.c_str(), S_IFCHR | 0600, ::makedev(1, 3)) != 0) GTEST_SKIP() << "no device can be made here";
    std::filesystem::create_symlink("/dev/null", link);
    EXPECT_EQ(written_to(device), "");
    EXPECT_EQ(written_to(link), "");
    EXPECT_TRUE(is_device(device));
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_EQ(folder.names().size(), 2U) << "nothing beside them";
    note_file::remove_old(device);
    note_file::remove_old(link);
    EXPECT_EQ(folder.names().size(), 2U) << "nor are they taken away";
}

TEST(NoteFile, GoesIntoAPipeThatSomebodyReads) {
    const fakes::folder folder;
    const auto path = folder.file("pipe");
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    EXPECT_EQ(written_to(path, "hello"), "");
    char text[16] = {};
    EXPECT_EQ(::read(reader, text, sizeof text), 6);
    EXPECT_STREQ(text, "hello\n");
    ::close(reader);
}

TEST(NoteFile, DoesNotWaitForAPipeThatNobodyReads) {
    const fakes::folder folder;
    const auto path = folder.file("pipe");
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_THAT(written_to(path), HasSubstr("cannot open " + path));
    const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    EXPECT_THAT(written_to(path, std::string(1 << 20, 'x')), StartsWith("cannot write " + path)) << "it is full";
    ::close(reader);
}

TEST(NoteFile, GoesToStdoutWhereTheLinkOfThatNameLeadsAndTheLinkStays) {
    const fakes::folder folder;
    const auto path = folder.file("out"), link = folder.file("stdout");
    std::filesystem::create_symlink("/proc/self/fd/1", link);
    const int kept = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ::dup2(file, STDOUT_FILENO);
    EXPECT_EQ(::write(STDOUT_FILENO, "before\n", 7), 7);
    const auto why = written_to(link, "note");
    EXPECT_EQ(::write(STDOUT_FILENO, "after\n", 6), 6);
    ::dup2(kept, STDOUT_FILENO);
    ::close(kept);
    ::close(file);
    EXPECT_EQ(why, "");
    EXPECT_EQ(fakes::content_of(path), "before\nnote\nafter\n");
    EXPECT_TRUE(std::filesystem::is_symlink(link));
}

TEST(NoteFile, IsRemovedByWhoWroteItUnlessAnotherHasReplacedIt) {
    const fakes::folder folder;
    const auto path = folder.file("ready.json");
    note_file first, second;
    ASSERT_EQ(first.open(path), "");
    ASSERT_EQ(first.write("1", synced), "");
    first.remove();
    EXPECT_THAT(folder.names(), IsEmpty());

    ASSERT_EQ(first.open(path), "");
    ASSERT_EQ(first.write("1", synced), "");
    ASSERT_EQ(second.open(path), "");
    ASSERT_EQ(second.write("2", synced), "");
    first.remove();
    EXPECT_EQ(fakes::content_of(path), "2\n");
    note_file::remove_old(path);
    EXPECT_THAT(folder.names(), IsEmpty());
    note_file::remove_old(path);
    note_file::remove_old("");
}

}  // namespace
