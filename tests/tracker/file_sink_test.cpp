#include "tracker/file_sink.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/tracker/fakes.hpp"

namespace {

namespace fs = std::filesystem;
using fakes::make_event;

/// A directory of this test's own, gone with it.
struct FileSink : testing::Test {
    FileSink() {
        std::string pattern = (fs::temp_directory_path() / "file_sink.XXXXXX").string();
        root = ::mkdtemp(pattern.data());
        directory = root / "var" / "events";
        file = directory / "events.jsonl";
    }
    ~FileSink() override { fs::remove_all(root); }

    static std::string read(const fs::path& path) {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write(const std::string& text) const {
        fs::create_directories(directory);
        std::ofstream(file, std::ios::binary) << text;
    }
    static std::string line(const tracker::event& event) {
        std::string out;
        tracker::append_json(out, event);
        return out + '\n';
    }
    tracker::options with(tracker::durability durability) const {
        tracker::options options;
        options.directory = directory;
        options.durability = durability;
        return options;
    }
    std::string refusal() {
        try {
            tracker::file_sink sink(with(tracker::durability::memory), book.log);
        } catch (const std::runtime_error& error) {
            return error.what();
        }
        return "was not refused";
    }

    fs::path root, directory, file;
    fakes::log_book book;
    std::vector<tracker::event> batch{make_event("a"), make_event("b\n\"")};
};

TEST_F(FileSink, MakesItsDirectoryAndAppendsALineForEachEvent) {
    tracker::file_sink sink(with(tracker::durability::memory), book.log);
    sink.deliver(batch);
    EXPECT_EQ(read(file), line(batch[0]) + line(batch[1]));
    sink.deliver(batch);
    EXPECT_EQ(read(file), line(batch[0]) + line(batch[1]) + line(batch[0]) + line(batch[1]));
    EXPECT_EQ(book.text.str(), "");
}

TEST_F(FileSink, KeepsWhatAnEarlierRunWrote) {
    write("{\"id\":\"old\"}\n");
    tracker::file_sink sink(with(tracker::durability::memory), book.log);
    sink.deliver(batch);
    EXPECT_EQ(read(file), "{\"id\":\"old\"}\n" + line(batch[0]) + line(batch[1]));
}

TEST_F(FileSink, CutsATornLastLineAndReportsIt) {
    write("{\"id\":\"old\"}\n{\"id\":\"to");
    tracker::file_sink sink(with(tracker::durability::memory), book.log);
    EXPECT_EQ(read(file), "{\"id\":\"old\"}\n");
    EXPECT_NE(book.text.str().find("cut a torn last line of 9 bytes"), std::string::npos) << book.text.str();
}

TEST_F(FileSink, CutsATornLineLongerThanABlockAndOneThatIsAlone) {
    write("{}\n" + std::string(200'000, 'x'));
    { const tracker::file_sink sink(with(tracker::durability::memory), book.log); }
    EXPECT_EQ(read(file), "{}\n");
    write(std::string(200'000, 'x'));
    const tracker::file_sink sink(with(tracker::durability::memory), book.log);
    EXPECT_EQ(read(file), "");
}

TEST_F(FileSink, IsRefusedWhileAnotherOneHasTheLock) {
    {
        const tracker::file_sink first(with(tracker::durability::memory), book.log);
        const auto text = refusal();
        EXPECT_NE(text.find(directory.string()), text.npos);
        EXPECT_NE(text.find("another process writes its events here"), text.npos) << text;
        EXPECT_EQ(text.find('\n'), text.npos);
    }
    EXPECT_EQ(refusal(), "was not refused");
}

TEST_F(FileSink, SaysWhichDirectoryCannotBeMadeAndWhatToDo) {
    std::ofstream(root / "var") << "a file in the way";
    const auto text = refusal();
    EXPECT_NE(text.find("tracker.directory '" + directory.string() + "'"), text.npos) << text;
    EXPECT_NE(text.find("name another directory"), text.npos) << text;
    EXPECT_EQ(text.find('\n'), text.npos);
}

TEST_F(FileSink, SaysSoWhenTheFileCannotBeOpened) {
    fs::create_directories(file);  // root may write everywhere, but not to a directory
    const auto text = refusal();
    EXPECT_NE(text.find("cannot open events.jsonl: Is a directory"), text.npos) << text;
}

TEST_F(FileSink, RefusesAFifoWhichKeepsNoEvent) {
    fs::create_directories(directory);
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    EXPECT_EQ(refusal(), file.string() + ": is a FIFO, which keeps no event; move it away, or use the sink stdout");
    EXPECT_TRUE(fs::is_fifo(file));
    fs::remove(file);
    tracker::file_sink sink(with(tracker::durability::process), book.log);
    fs::remove(file);
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    EXPECT_THROW(sink.deliver(batch), std::runtime_error) << "it comes later";
    fs::remove(file);
    sink.deliver(batch);
    EXPECT_EQ(read(file), line(batch[0]) + line(batch[1]));
}

TEST_F(FileSink, OpensTheFileAgainWhenAskedTo) {
    tracker::file_sink sink(with(tracker::durability::memory), book.log);
    sink.deliver({&batch[0], 1});
    fs::rename(file, directory / "events.1");
    sink.deliver({&batch[0], 1});  // a renamed file goes on until a SIGHUP, as everywhere
    EXPECT_FALSE(fs::exists(file));
    sink.reopen();
    sink.deliver({&batch[1], 1});
    EXPECT_EQ(read(directory / "events.1"), line(batch[0]) + line(batch[0]));
    EXPECT_EQ(read(file), line(batch[1]));
}

TEST_F(FileSink, MakesAVanishedDirectoryAgainAndLocksItAgain) {
    tracker::file_sink sink(with(tracker::durability::memory), book.log);
    sink.deliver(batch);
    fs::remove_all(root / "var");
    sink.deliver(batch);
    EXPECT_EQ(read(file), line(batch[0]) + line(batch[1]));
    EXPECT_NE(refusal().find("another process"), std::string::npos);
}

TEST_F(FileSink, GoesOnWhereAReopenFailed) {
    tracker::file_sink sink(with(tracker::durability::memory), book.log);
    fs::remove_all(root / "var");
    std::ofstream(root / "var") << "a file in the way";
    EXPECT_THROW(sink.deliver(batch), std::runtime_error);
    fs::remove(root / "var");
    sink.deliver(batch);
    EXPECT_EQ(read(file), line(batch[0]) + line(batch[1]));
}

TEST_F(FileSink, ThrowsWhenTheDeviceIsFull) {
    fs::create_directories(directory);
    fs::create_symlink("/dev/full", file);
    tracker::file_sink sink(with(tracker::durability::memory), book.log);
    try {
        sink.deliver(batch);
        FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos) << error.what();
    }
}

/// A limit on the size of files, as a disk that fills up in the middle of a batch.
struct file_size_limit {
    explicit file_size_limit(rlim_t bytes) {
        before_signal = std::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before);
        const rlimit now{bytes, before.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    ~file_size_limit() {
        ::setrlimit(RLIMIT_FSIZE, &before);
        std::signal(SIGXFSZ, before_signal);
    }
    rlimit before{};
    void (*before_signal)(int);
};

TEST_F(FileSink, CutsWhatAFailedWriteLeftSoThatNoLineIsGarbled) {
    struct : tracker::disk {
        int sync(int) override { return ++synced, 0; }
        int synced = 0;
    } disk;
    tracker::file_sink sink(with(tracker::durability::memory), book.log, &disk);
    sink.deliver(batch);
    const auto before = read(file);
    {
        const file_size_limit limit(before.size() + 40);  // room for a part of the first line only
        EXPECT_THROW(sink.deliver(batch), std::runtime_error);
        EXPECT_EQ(read(file), before);
        EXPECT_THROW(sink.deliver(batch), std::runtime_error);
        EXPECT_EQ(read(file), before);
    }
    EXPECT_EQ(disk.synced, 2) << "what was cut could come back, after a half of what is written next";
    sink.deliver(batch);
    EXPECT_EQ(read(file), before + before);
}

TEST_F(FileSink, RotatesBeforeItGrowsBeyondItsSizeAndKeepsSoManyWholeFiles) {
    auto options = with(tracker::durability::disk);
    options.file_max_size = 200;
    options.file_keep = 2;
    std::vector<std::string> texts;
    const auto numbered = [&](int number) { return fs::path(file.string() + "." + std::to_string(number)); };
    write("");
    fs::copy_file(file, numbered(3));  // more were kept once
    fs::copy_file(file, numbered(4));
    tracker::file_sink sink(options, book.log);
    for (int i = 0; i < 4; ++i) {
        const std::vector<tracker::event> event{make_event(std::string(100, static_cast<char>('a' + i)))};
        texts.push_back(line(event[0]));
        sink.deliver(event);
    }
    EXPECT_EQ(read(file), texts[3]);
    EXPECT_EQ(read(numbered(1)), texts[2]);
    EXPECT_EQ(read(numbered(2)), texts[1]);
    EXPECT_FALSE(fs::exists(numbered(3)));
    EXPECT_FALSE(fs::exists(numbered(4)));
}

TEST_F(FileSink, ABatchLargerThanAFileIsWrittenWhole) {
    auto options = with(tracker::durability::memory);
    options.file_max_size = 10;
    tracker::file_sink sink(options, book.log);
    sink.deliver(batch);
    EXPECT_EQ(read(file), line(batch[0]) + line(batch[1]));
    EXPECT_FALSE(fs::exists(file.string() + ".1"));
}

TEST_F(FileSink, ARotationThatCannotBeDoneIsARefusal) {
    auto options = with(tracker::durability::memory);
    options.file_max_size = 10;
    options.file_keep = 1;
    tracker::file_sink sink(options, book.log);
    sink.deliver(batch);
    fs::create_directories(file.string() + ".1");  // in its way
    EXPECT_THROW(sink.deliver(batch), std::runtime_error);
    EXPECT_EQ(read(file), line(batch[0]) + line(batch[1]));
    fs::remove(file.string() + ".1");
    sink.deliver(batch);
    EXPECT_EQ(read(file.string() + ".1"), line(batch[0]) + line(batch[1]));
}

TEST_F(FileSink, KeepsItsDescriptorsFromPrograms) {
    const tracker::file_sink sink(with(tracker::durability::memory), book.log);
    int ours = 0;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
        std::error_code error;
        const auto target = fs::read_symlink(entry.path(), error);
        if (target.parent_path() != directory) continue;
        ++ours;
        EXPECT_NE(::fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC, 0) << target;
    }
    EXPECT_EQ(ours, 2);
}

TEST_F(FileSink, IsWhatTheSettingsNameByDefault) {
    tracker::options options;
    options.directory = directory.string();
    const auto never = [] { return fakes::clock::time_point::max(); };
    options.sinks = {"none", "file", "stdout"};
    const auto made = tracker::make_sinks(options, book.log, never);
    ASSERT_EQ(made.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(made[i]->name(), options.sinks[i]);
    options.sinks = {"fax"};
    EXPECT_THROW(tracker::make_sinks(options, book.log, never), std::runtime_error);
}

}  // namespace
