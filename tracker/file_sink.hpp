#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "tracker/descriptor.hpp"
#include "tracker/options.hpp"
#include "tracker/sink.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// `<directory>/events.jsonl`: one JSON object a line, appended.
///
/// No line is ever garbled: one process writes (flock(2) on `<directory>/events.lock`), a torn last
/// line is cut and reported when the file is opened, and what a failed write left is cut again.
/// A file or directory that has been removed is made again before the next batch.
class file_sink final : public sink {
public:
    /// Makes the directory, takes the lock and opens the file, or throws std::runtime_error with one
    /// line that names the directory and what to do. Waits for nobody. With a durability above memory a
    /// lock that another process holds is no fault: batches fail, and wait in the spool, until it is free.
    file_sink(std::filesystem::path directory, durability durability, spdlog::logger& log);

    void deliver(std::span<const event> batch) override;
    void reopen() override { reopen_asked_ = true; }
    std::string_view name() const noexcept override { return "file"; }

private:
    bool open_directory();
    void open();
    bool take_lock();
    std::string owned_by_another() const;
    void cut_torn_line();
    void append();

    const std::filesystem::path directory_;
    const std::filesystem::path path_;
    const durability durability_;
    spdlog::logger& log_;
    std::atomic<bool> reopen_asked_{false};
    descriptor lock_;
    descriptor file_;
    std::string text_;  ///< the batch as it is written; kept for its memory
};

}  // namespace tracker
