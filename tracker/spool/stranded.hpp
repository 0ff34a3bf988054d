#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tracker/disk.hpp"
#include "tracker/options.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// True when what earlier runs have left in a set is to stay there: of the sinks none keeps anything, and the set was
/// for one that does. Reads names only; throws std::system_error.
bool must_wait(const std::filesystem::path& set, const std::vector<std::string>& sinks, disk& files);

/// Looks for events of earlier runs that this one does not deliver: in the spool, where its settings do not allow it,
/// and in tracker.directory around it, up to three levels deep, where no run looks. One warning for each place, with
/// what to do; returns how many events there are. What a living process has the lock of is not stranded.
///
/// Reads every record of what it finds, until `cancelled`. Where the disk fails it tries again, a few times. Never
/// throws; changes nothing.
std::uint64_t find_stranded(const options& options, spdlog::logger& log, disk& files,
                            const std::function<bool()>& cancelled);

/// The same of the spool alone, which cannot be delivered for this reason.
std::uint64_t count_stranded_spool(const options& options, spdlog::logger& log, disk& files, std::string_view reason,
                                   const std::function<bool()>& cancelled);

}  // namespace tracker
