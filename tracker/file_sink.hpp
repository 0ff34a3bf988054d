#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>

#include "tracker/descriptor.hpp"
#include "tracker/disk.hpp"
#include "tracker/options.hpp"
#include "tracker/sink.hpp"
#include "tracker/spool/disks.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// `<tracker.directory>/events.jsonl`: one JSON object a line, appended. Before it grows beyond
/// `file_max_size` it becomes events.jsonl.1, that one .2, and so on; a batch is never in two of them.
///
/// No line is ever garbled: one process writes (flock(2) on events.lock beside it); a torn last line is cut and
/// reported, in the rotated files when the lock is taken, in events.jsonl when it is opened and whenever another
/// process has changed its length; and what a failed write left is cut again. A file or directory that has been removed
/// is made again before the next batch.
///
/// What cannot be read, of a disk that fails, is no fault of the settings and no damage: `prepare` and `deliver` throw,
/// and are called again; meanwhile it is not `readable`.
///
/// With durability `disk` each batch is synced. With `process` a file is synced when `sync` asks for it, and before it
/// is rotated or exchanged for another: what has left the spool is then on the disk. With `memory` the same from the
/// first time that `sync` is called.
class file_sink final : public sink {
public:
    /// Makes the directory, takes the lock and opens the file, or throws std::runtime_error with one line that names
    /// the directory and what to do. Does not wait for the lock. With a durability above memory a lock that another
    /// process holds is no fault: batches fail, and wait in the spool, until it is free. `other`: a disk for tests,
    /// which must outlive it; of it the calls are used that read, sync, and cut a last line.
    file_sink(const options& options, spdlog::logger& log, disk* other = nullptr);

    void deliver(std::span<const event> batch) override;
    void sync() override;
    void reopen() override { reopen_asked_ = true; }
    std::string_view name() const noexcept override { return "file"; }
    void prepare() override;
    bool readable() const noexcept override { return !unreadable_; }
    std::map<std::string_view, std::uint64_t> disk_errors() const override { return disk_.failures(); }

private:
    [[noreturn]] void refuse(std::string_view what, const std::filesystem::path& file, const std::system_error& error);
    struct stat status_of(const descriptor& file, std::string_view name);
    void begin();
    bool open_directory();
    void open();
    bool take_lock();
    std::string owned_by_another() const;
    void close() noexcept;
    void let_go();
    void sync_file();  // with `exchanging_` held
    descriptor open_to_sync(const std::filesystem::path& path, int flags);
    void sync_file_of_another();  // with it held too
    int sync_name();
    void mend();
    void mend_in_use();
    void mend_rotated_files();
    void mend_rotated_file(const std::filesystem::path& path);
    void rotate();
    void append();

    const std::filesystem::path directory_;
    const std::filesystem::path path_;
    const durability durability_;
    const std::size_t max_size_, keep_;
    spdlog::logger& log_;
    disk real_;
    counting_disk disk_;
    std::atomic<bool> reopen_asked_{false};
    std::atomic<bool> unreadable_{false};
    std::string fault_;  ///< what the constructor met, to be told by `prepare`

    descriptor lock_;
    std::string text_;                  ///< the batch as it is written; kept for its memory
    off_t size_ = 0;                    ///< of the file as it was left
    bool lacks_end_ = false;            ///< its last line is whole but for its end
    std::atomic<bool> regular_{false};  ///< what it is has a length, and can be synced
    /// `sync` comes; with durability memory only where something of an earlier run is delivered, and then before it.
    std::atomic<bool> may_be_asked_;

    std::mutex exchanging_;  ///< guards what `sync` uses on other threads; held during fdatasync(2)
    descriptor file_;        ///< exchanged with it held, on the delivering thread
    std::atomic<bool> unsynced_{false};
    bool listed_ = false;  ///< the directory has been synced since the file was opened
    int lost_ = 0;         ///< errno of an fdatasync(2) that failed, not yet told by `sync`
};

}  // namespace tracker
