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

/// `<tracker.directory>/events.jsonl`: one JSON object a line, appended. Before it grows beyond
/// `file_max_size` it becomes events.jsonl.1, that one .2, and so on; a batch is never in two of them.
///
/// No line is ever garbled: one process writes (flock(2) on events.lock beside it), a torn last
/// line is cut and reported when the file is opened, and what a failed write left is cut again.
/// A file or directory that has been removed is made again before the next batch.
class file_sink final : public sink {
public:
    /// Makes the directory, takes the lock and opens the file, or throws std::runtime_error with one
    /// line that names the directory and what to do. Waits for nobody. With a durability above memory a
    /// lock that another process holds is no fault: batches fail, and wait in the spool, until it is free.
    file_sink(const options& options, spdlog::logger& log);

    void deliver(std::span<const event> batch) override;
    void reopen() override { reopen_asked_ = true; }
    std::string_view name() const noexcept override { return "file"; }

private:
    bool open_directory();
    void open();
    bool take_lock();
    std::string owned_by_another() const;
    void cut_torn_line();
    void rotate();
    void append();

    const std::filesystem::path directory_;
    const std::filesystem::path path_;
    const durability durability_;
    const std::size_t max_size_, keep_;
    spdlog::logger& log_;
    std::atomic<bool> reopen_asked_{false};
    descriptor lock_;
    descriptor file_;
    std::string text_;  ///< the batch as it is written; kept for its memory
};

}  // namespace tracker
