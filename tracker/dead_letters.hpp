#pragma once

#include <filesystem>
#include <string_view>

#include "tracker/descriptor.hpp"
#include "tracker/options.hpp"

namespace tracker {

/// `<tracker.directory>/dead-letter.jsonl`: events that a sink will never take, for a human, in lines like those of the
/// file sink. Several sinks and several processes may append to it. A torn last line is cut before the next one comes:
/// a process that died in it had not counted its event, which is refused again.
///
/// Threads: any; keeps nothing open.
class dead_letters {
public:
    explicit dead_letters(const options& options);

    /// Appends whole lines, each with its end, all of them or none; with durability `disk` waits for the disk.
    /// False: they could not be written.
    bool append(std::string_view lines) const;

    const std::filesystem::path& path() const noexcept { return path_; }

private:
    bool sync(const descriptor& file, bool is_new) const;

    std::filesystem::path path_;
    bool durable_;  ///< not only to the page cache
};

}  // namespace tracker
