// Files whose end somebody else has torn: the sink's, the rotated ones, the dead letters.

#include "tracker/last_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/process.hpp"
#include "tests/tracker/fakes.hpp"
#include "tracker/dead_letters.hpp"
#include "tracker/file_sink.hpp"

namespace {

namespace fs = std::filesystem;
using fakes::make_event;
using support::read_file;
using support::write_file;
using testing::HasSubstr;
using testing::Not;
using tracker::durability;

const std::string whole = R"({"id":"a","time":"t","data":"x"})"
                          "\n";

struct LastLine : testing::Test {
    LastLine() { options.directory = root.path(); }

    /// What is left of a file with this text.
    std::string mended(const std::string& text) const {
        const auto path = root.path() / "some.jsonl";
        write_file(path, text);
        const tracker::descriptor opened(::open(path.c_str(), O_RDWR | O_CLOEXEC));
        const auto last = tracker::mend_last_line(opened.get(), disk);
        const auto left = read_file(path);
        EXPECT_EQ(last.size, static_cast<off_t>(left.size()));
        EXPECT_EQ(last.cut, static_cast<off_t>(text.size() - left.size()));
        EXPECT_EQ(last.lacks_end, !left.empty() && left.back() != '\n');
        return left;
    }
    static std::string line(const tracker::event& event) {
        std::string out;
        tracker::append_json(out, event);
        return out + '\n';
    }

    support::temporary_directory root;
    mutable tracker::disk disk;
    tracker::options options;
    fakes::log_book book;
    fs::path file = root.path() / "events.jsonl";
    std::vector<tracker::event> first{make_event("first")}, second{make_event("second")};
};

TEST_F(LastLine, OfWholeLinesIsLeftAlone) {
    for (const auto& text : {std::string(), std::string("\n"), whole, whole + whole, std::string("no JSON\n")})
        EXPECT_EQ(mended(text), text);
}

TEST_F(LastLine, ThatIsHalfIsCut) {
    EXPECT_EQ(mended("{\"id\":"), "");
    EXPECT_EQ(mended(whole + "{\"id\":\"b"), whole);
    EXPECT_EQ(mended(whole + std::string(200'000, 'x')), whole);
    for (std::size_t cut = 1; cut + 1 < whole.size(); ++cut) EXPECT_EQ(mended(whole + whole.substr(0, cut)), whole);
}

TEST_F(LastLine, ThatLacksOnlyItsEndStays) {
    EXPECT_EQ(mended(whole.substr(0, whole.size() - 1)), whole.substr(0, whole.size() - 1));
    EXPECT_EQ(mended(whole + R"({"data":"\\"})"), whole + R"({"data":"\\"})");
    EXPECT_EQ(mended(whole + R"({"data":"\"})"), whole) << "that quote is in the data";
}

TEST_F(LastLine, OfZerosIsCutWhereverTheyBegin) {
    const std::string zeros(200'000, '\0');
    EXPECT_EQ(mended(whole + zeros), whole);
    EXPECT_EQ(mended(whole + "{\"id\"" + zeros), whole);
    EXPECT_EQ(mended(zeros), "");
    EXPECT_EQ(mended(whole + zeros + "{\"id\":\"b\"}"), whole);
    EXPECT_EQ(mended(whole + zeros + "the end of a line\n"), whole) << "blocks are not written in order";
    EXPECT_EQ(mended(whole + zeros + "\n" + whole), whole + zeros + "\n" + whole) << "what follows is whole";
}

/// A file of 256 GiB that takes a block of the disk.
TEST_F(LastLine, OfZerosThatAreNotStoredIsCutWithoutReadingThem) {
    write_file(file, whole + "{\"id\"");
    fs::resize_file(file, std::uintmax_t{256} << 30U);
    const tracker::descriptor opened(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    if (::lseek(opened.get(), off_t{1} << 30U, SEEK_DATA) >= 0 || errno != ENXIO)
        GTEST_SKIP() << "this file system does not say what is stored";
    EXPECT_EQ(tracker::mend_last_line(opened.get(), disk).size, static_cast<off_t>(whole.size()));
    EXPECT_EQ(read_file(file), whole);
    fs::resize_file(file, 0);
    fs::resize_file(file, std::uintmax_t{256} << 30U);
    EXPECT_EQ(tracker::mend_last_line(opened.get(), disk).size, 0);
}

TEST_F(LastLine, WrittenBySomebodyElseWhileWeRunIsCutBeforeTheNext) {
    tracker::file_sink sink(options, book.log);
    sink.deliver(first);
    fs::resize_file(file, read_file(file).size() - 5);
    sink.deliver(second);
    EXPECT_EQ(read_file(file), line(second[0]));
    write_file(file, line(first[0]) + "{\"id\":\"of-another");
    sink.deliver(second);
    EXPECT_EQ(read_file(file), line(first[0]) + line(second[0]));
    EXPECT_THAT(book.text.str(), HasSubstr("cut a torn last line of 17 bytes from " + file.string()));
}

TEST_F(LastLine, ThatLostOnlyItsEndIsNotLost) {
    {
        tracker::file_sink sink(options, book.log);
        sink.deliver(first);
        fs::resize_file(file, read_file(file).size() - 1);
        sink.deliver(second);
        EXPECT_EQ(read_file(file), line(first[0]) + line(second[0]));
        fs::resize_file(file, read_file(file).size() - 1);
    }
    options.file_max_size = 1;
    tracker::file_sink next(options, book.log);
    next.deliver(first);
    EXPECT_EQ(read_file(file), line(first[0])) << "no empty line at the top of the next file";
    EXPECT_EQ(book.text.str(), "");
}

TEST_F(LastLine, OfAFileThatWasEmptiedUnderUsIsNone) {
    tracker::file_sink sink(options, book.log);
    sink.deliver(first);
    fs::resize_file(file, 0);
    sink.deliver(second);
    EXPECT_EQ(read_file(file), line(second[0]));
    EXPECT_EQ(book.text.str(), "");
}

TEST_F(LastLine, OfEachRotatedFileIsCutAtTheStart) {
    const auto numbered = [this](const char* number) { return file.string() + "." + number; };
    write_file(numbered("1"), whole + "{\"id\":\"b");
    write_file(numbered("8"), whole + std::string(2611, '\0'));
    write_file(numbered("2.gz"), "somebody else's");
    write_file(numbered("x"), "somebody else's");
    fs::create_symlink("/dev/full", numbered("3"));
    ASSERT_EQ(::mkfifo(numbered("4").c_str(), 0600), 0);
    fs::create_directories(numbered("5"));
    const tracker::file_sink sink(options, book.log);
    EXPECT_EQ(read_file(numbered("1")), whole);
    EXPECT_EQ(read_file(numbered("8")), whole);
    EXPECT_EQ(read_file(numbered("2.gz")), "somebody else's");
    EXPECT_EQ(read_file(numbered("x")), "somebody else's");
    EXPECT_THAT(book.text.str(), HasSubstr("cut a torn last line of 2611 bytes from " + numbered("8")));
}

TEST_F(LastLine, OfTheDeadLettersIsCutBeforeTheNext) {
    for (const auto kept : {durability::process, durability::disk}) {
        options.durability = kept;
        tracker::dead_letters letters(options);
        fs::remove(letters.path());
        EXPECT_TRUE(letters.append(whole).written);
        write_file(letters.path(), whole + "{\"id\":\"to");
        EXPECT_TRUE(letters.append(whole + whole).written);
        EXPECT_EQ(read_file(letters.path()), whole + whole + whole);
        write_file(letters.path(), whole.substr(0, whole.size() - 1));
        EXPECT_TRUE(letters.append(whole).written);
        EXPECT_EQ(read_file(letters.path()), whole + whole) << "edited by a human";
    }
}

}  // namespace
