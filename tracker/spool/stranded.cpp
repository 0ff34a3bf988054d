#include "tracker/spool/stranded.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <exception>
#include <set>
#include <string>
#include <utility>

#include "lifecycle/lines.hpp"
#include "tracker/spool/segment_set.hpp"

namespace tracker {
namespace {

namespace fs = std::filesystem;

constexpr int deepest = 3;              ///< levels below tracker.directory: of `one/spool/set`
constexpr int most_looked_at = 10'000;  ///< files and directories
constexpr std::size_t most_named = 16;  ///< sets that get a line of their own; the others are counted

constexpr std::string_view note_prefix = "delivered.";

bool is_segment(const fs::path& file) {
    const auto stem = file.stem().string();
    return file.extension() == ".seg" && !stem.empty() && stem.find_first_not_of("0123456789") == stem.npos;
}

/// The lock is taken and given back at once: a process that wants it meanwhile tries again later.
bool has_an_owner(const fs::path& set) {
    const descriptor lock(::open((set / "lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    return lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0;
}

bool is_folder(const fs::path& path) {
    struct stat found = {};
    return ::lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

/// The names in a directory; none in one that cannot be read. std::filesystem's iterators end the process where they
/// find no memory.
std::vector<std::string> names_in(const fs::path& directory) {
    std::vector<std::string> names;
    disk().list(directory.c_str(), names);
    return names;
}

/// Directories of segments below `directory` that are no sets of its spool.
std::vector<fs::path> misplaced(const fs::path& directory, const std::function<bool()>& cancelled) {
    struct level {
        fs::path folder;
        int depth;
    };
    std::set<fs::path> found;
    const auto spool = directory / "spool";
    int looked_at = 0;
    for (std::vector<level> open{{.folder = directory, .depth = 0}}; !open.empty();) {
        const auto [folder, depth] = std::move(open.back());
        open.pop_back();
        const bool of_the_spool = folder.parent_path() == spool && !folder.filename().string().starts_with('.');
        for (const auto& name : names_in(folder)) {
            // tracker.directory may be anything, a home directory for instance: the search must end.
            if (cancelled() || ++looked_at > most_looked_at) return {found.begin(), found.end()};
            if (name == "." || name == "..") continue;
            const auto path = folder / name;
            if (!of_the_spool && is_segment(path)) found.insert(folder);
            if (depth < deepest && is_folder(path)) open.push_back({.folder = path, .depth = depth + 1});
        }
    }
    return {found.begin(), found.end()};
}

/// Ends the reading of a set when the result is no longer wanted.
class until final : public reading_watch {
public:
    explicit until(const std::function<bool()>& cancelled) : cancelled_(cancelled) {}
    void expects(std::uint64_t) override {}
    bool has_read(std::uint64_t) override { return cancelled_(); }

private:
    const std::function<bool()>& cancelled_;
};

/// What is in these and has no owner, with one line for each.
std::uint64_t count(const std::vector<fs::path>& sets, spdlog::logger& log, std::string_view what_to_do,
                    const std::function<bool()>& cancelled) {
    std::uint64_t all = 0;
    std::size_t named = 0;
    disk files;
    until watch(cancelled);
    for (const auto& directory : sets) try {
            if (cancelled()) break;
            if (has_an_owner(directory)) continue;
            // Without its lock, and so without a change to it: another run may be there in a moment.
            const auto set = load_segment_set(directory, {}, {.files = files, .watch = &watch});
            const auto events = set ? set->left() : 0;
            if (events == 0) continue;
            all += events;
            if (++named <= most_named)
                lifecycle::lines(log).warn(
                    "tracker: {events} events of an earlier run stay undelivered in {path}: {advice}", events,
                    directory.string(), what_to_do);
        } catch (const std::exception& failure) {
            lifecycle::lines(log).warn("tracker: what an earlier run has left in {path} cannot be read: {error}",
                                       directory.string(), failure.what());
        }
    if (named > most_named)
        lifecycle::lines(log).warn("tracker: {events} events of earlier runs stay undelivered in all", all);
    return all;
}

}  // namespace

bool must_wait(const fs::path& set, const std::vector<std::string>& sinks) {
    if (std::ranges::any_of(sinks, [](const auto& name) { return name != "none"; })) return false;
    bool for_nobody = false;
    for (const auto& name : names_in(set)) {
        if (!name.starts_with(note_prefix)) continue;
        if (name.substr(note_prefix.size()) != "none") return true;
        for_nobody = true;
    }
    return !for_nobody;
}

std::uint64_t count_stranded_spool(const options& options, spdlog::logger& log, std::string_view reason,
                                   const std::function<bool()>& cancelled) {
    const fs::path directory(options.directory);
    return count(sets_in(directory / "spool"), log,
                 fmt::format("{}; see them with --spool-dump {}", reason, directory.string()), cancelled);
}

std::uint64_t find_stranded(const options& options, spdlog::logger& log, const std::function<bool()>& cancelled) try {
    const fs::path directory(options.directory);
    std::vector<fs::path> waiting;
    for (const auto& set : sets_in(directory / "spool"))
        if (must_wait(set, options.sinks)) waiting.push_back(set);
    const auto for_a_sink = fmt::format(
        "with tracker.sink none nobody gets them; start once with another sink, or see them with --spool-dump {}",
        directory.string());
    const auto elsewhere = fmt::format("no run looks there; move its files into a directory of their own in {}",
                                       (directory / "spool").string());
    return count(waiting, log, for_a_sink, cancelled) +
           count(misplaced(directory, cancelled), log, elsewhere, cancelled);
} catch (const std::exception& failure) {
    lifecycle::lines(log).warn("tracker: what earlier runs have left in {path} cannot be read: {error}",
                               options.directory, failure.what());
    return 0;
}

}  // namespace tracker
