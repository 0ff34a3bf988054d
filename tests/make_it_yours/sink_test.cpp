// A sink. The marked regions are the code blocks of docs/make-it-yours.md.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "tests/support/process.hpp"
#include "tests/tracker/fakes.hpp"

namespace make_it_yours {
namespace {

// [sink]
/// A file for each event, for a program that empties the folder: written under another name and renamed, so it is
/// either whole or not there. Named by the event's id, so an event that comes twice is there once.
class outbox_sink final : public tracker::sink {
public:
    explicit outbox_sink(std::filesystem::path folder) : folder_(std::move(folder)) {
        std::filesystem::create_directories(folder_);  // throws: the service does not start
    }

    void deliver(std::span<const tracker::event> batch) override {
        for (const auto& event : batch) {
            std::string text;
            tracker::append_json(text, event);
            std::ofstream file;
            file.exceptions(std::ios::failbit | std::ios::badbit);  // throws: the whole batch is tried again
            file.open(folder_ / ".new");
            file << text << '\n';
            file.close();
            std::filesystem::rename(folder_ / ".new", folder_ / (event.id + ".json"));
        }
    }
    std::string_view name() const noexcept override { return "outbox"; }

private:
    const std::filesystem::path folder_;
};
// [/sink]

tracker::sink_makers known_sinks() {
    auto known = tracker::own_sinks();
    // [known]
    known["outbox"] = [](const tracker::options& options, spdlog::logger&, const tracker::deadline_function&) {
        return std::make_unique<outbox_sink>(std::filesystem::path(options.directory) / "outbox");
    };
    // [/known]
    return known;
}

/// What is in the outbox below `directory`.
std::set<std::string> outbox(const std::filesystem::path& directory) {
    std::set<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(directory / "outbox"))
        names.insert(file.path().filename().string());
    return names;
}

struct with_outbox {
    support::temporary_directory directory;
    fakes::log_book book;
    tracker::options options = [this] {
        auto made = fakes::prompt();
        made.sinks = {"outbox"};
        made.directory = directory.path().string();
        return made;
    }();
    tracker::deadline_function never = [] { return lifecycle::clock::time_point::max(); };
    tracker::sinks sinks = tracker::make_sinks(options, book.log, never, known_sinks());
};

TEST(MakeItYours, ASinkIsNamedInTheSettingsAndGetsEveryEvent) {
    with_outbox own;
    lifecycle::workers workers;
    tracker::event_tracker events(own.options, own.sinks, workers, own.book.log, own.never);
    auto part = workers.start("tracker", "part", [&](std::stop_token stop) { events.run(std::move(stop)); });
    for (const char* id : {"one", "two"})
        EXPECT_EQ(events.try_record(fakes::make_event("hello", id)), tracker::verdict::accepted);
    part.request_stop();
    part.join();
    EXPECT_EQ(events.account().delivered, 2U);
    EXPECT_EQ(outbox(own.directory.path()), (std::set<std::string>{"one.json", "two.json"}));
    const auto text = support::read_file(own.directory.path() / "outbox" / "one.json");
    EXPECT_TRUE(text.starts_with(R"({"id":"one","time":")")) << text;
    EXPECT_TRUE(text.ends_with("\"data\":\"hello\"}\n")) << text;
}

TEST(MakeItYours, ASinkThatThrowsIsTriedAgain) {
    with_outbox own;
    const std::vector batch{fakes::make_event("hello", "one"), fakes::make_event("hello", "two")};
    std::filesystem::create_directory(own.directory.path() / "outbox" / ".new");  // in its way
    EXPECT_ANY_THROW(own.sinks.front()->deliver(batch));
    std::filesystem::remove(own.directory.path() / "outbox" / ".new");
    for (int twice = 0; twice < 2; ++twice) own.sinks.front()->deliver(batch);
    EXPECT_EQ(outbox(own.directory.path()), (std::set<std::string>{"one.json", "two.json"}));
}

}  // namespace
}  // namespace make_it_yours
