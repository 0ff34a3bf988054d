#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "tracker/descriptor.hpp"
#include "tracker/disk.hpp"
#include "tracker/options.hpp"
#include "tracker/spool/disks.hpp"

namespace tracker {

/// `<tracker.directory>/dead-letter.jsonl`: events that a sink will never take, for a human, in lines like those of the
/// file sink. Several sinks and several processes may append to it. A torn last line is cut before the next one comes:
/// a process that died in it had not counted its event, which is refused again.
///
/// Threads: any; keeps nothing open.
class dead_letters {
public:
    /// What has come of a try. Not `written`: `why` is the reason in one line; what `may_work_again` is to be tried
    /// again after a pause, since the disk has failed and nothing that somebody has to change.
    struct outcome {
        bool written = false, may_work_again = false;
        std::string why = {};
    };

    /// `other`: a disk for tests, which must outlive it.
    explicit dead_letters(const options& options, disk* other = nullptr);

    /// Appends whole lines, each with its end, all of them or none; with durability `disk` waits for the disk. Where it
    /// does not let them be taken back after a failure they are there twice once the next try succeeds.
    outcome append(std::string_view lines);

    const std::filesystem::path& path() const noexcept { return path_; }
    /// False from a try that may work again to the next of another kind.
    bool usable() const noexcept { return usable_; }
    /// Calls that the disk has failed, by their names.
    std::map<std::string_view, std::uint64_t> disk_errors() const { return disk_.failures(); }

private:
    void append_whole(std::string_view lines);
    void sync(const descriptor& file, bool is_new);

    const std::filesystem::path path_;
    const bool durable_;  ///< not only to the page cache
    disk real_;
    counting_disk disk_;
    std::atomic<bool> usable_{true};
};

}  // namespace tracker
