#include "tracker/spool/stranded.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "lifecycle/lines.hpp"
#include "tracker/descriptor.hpp"
#include "tracker/spool/disks.hpp"
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
bool has_an_owner(const fs::path& set, disk& files) {
    const descriptor lock(files.open((set / "lock").c_str(), O_RDONLY | O_NOFOLLOW));
    if (!lock && !is_to_be_changed(errno)) throw std::system_error(errno, std::generic_category(), set.string());
    return lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0;
}

bool is_folder(const fs::path& path, disk& files) {
    return static_cast<bool>(descriptor(files.open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW)));
}

/// The names in a directory; none in one that cannot be read. std::filesystem's iterators end the process where they
/// find no memory.
std::vector<std::string> names_if_any(const fs::path& directory, disk& files) {
    std::vector<std::string> names;
    files.list(directory.c_str(), names);
    return names;
}

/// Directories of segments below `directory` that are no sets of its spool.
std::vector<fs::path> misplaced(const fs::path& directory, disk& files, const std::function<bool()>& cancelled) {
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
        for (const auto& name : names_if_any(folder, files)) {
            // tracker.directory may be anything, a home directory for instance: the search must end.
            if (cancelled() || ++looked_at > most_looked_at) return {found.begin(), found.end()};
            if (name == "." || name == "..") continue;
            const auto path = folder / name;
            if (!of_the_spool && is_segment(path)) found.insert(folder);
            if (depth < deepest && is_folder(path, files)) open.push_back({.folder = path, .depth = depth + 1});
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
std::uint64_t count(const std::vector<fs::path>& sets, spdlog::logger& log, std::string_view what_to_do, disk& files,
                    const std::function<bool()>& cancelled) {
    std::uint64_t all = 0;
    std::size_t named = 0;
    until watch(cancelled);
    for (const auto& directory : sets) try {
            if (cancelled()) break;
            if (has_an_owner(directory, files)) continue;
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

void say_unreadable(const options& options, spdlog::logger& log, const std::exception& failure) {
    lifecycle::lines(log).warn("tracker: what earlier runs have left in {path} cannot be read: {error}",
                               options.directory, failure.what());
}

}  // namespace

bool must_wait(const fs::path& set, const std::vector<std::string>& sinks, disk& files) {
    if (std::ranges::any_of(sinks, [](const auto& name) { return name != "none"; })) return false;
    bool for_nobody = false;
    std::vector<std::string> names;
    if (files.list(set.c_str(), names) != 0 && !is_answer(errno))
        throw std::system_error(errno, std::generic_category(), set.string());
    for (const auto& name : names) {
        if (!name.starts_with(note_prefix)) continue;
        if (name.substr(note_prefix.size()) != "none") return true;
        for_nobody = true;
    }
    return !for_nobody;
}

std::uint64_t count_stranded_spool(const options& options, spdlog::logger& log, disk& files, std::string_view reason,
                                   const std::function<bool()>& cancelled) try {
    brief_patience patience(cancelled);
    patient_disk patient(files, patience);
    const fs::path directory(options.directory);
    return count(sets_in(directory / "spool", patient), log,
                 fmt::format("{}; see them with --spool-dump {}", reason, directory.string()), patient, cancelled);
} catch (const std::exception& failure) {
    say_unreadable(options, log, failure);
    return 0;
}

std::uint64_t find_stranded(const options& options, spdlog::logger& log, disk& files,
                            const std::function<bool()>& cancelled) try {
    brief_patience patience(cancelled);
    patient_disk patient(files, patience);
    const fs::path directory(options.directory);
    std::vector<fs::path> waiting;
    for (const auto& set : sets_in(directory / "spool", patient)) try {
            if (must_wait(set, options.sinks, patient)) waiting.push_back(set);
        } catch (const std::system_error&) {
            waiting.push_back(set);  // what is wrong with it is said where it is counted
        }
    const auto for_a_sink = fmt::format(
        "with tracker.sink none nobody gets them; start once with another sink, or see them with --spool-dump {}",
        directory.string());
    const auto elsewhere = fmt::format("no run looks there; move its files into a directory of their own in {}",
                                       (directory / "spool").string());
    // Around the spool may be what this user may not read: that is no failure of the disk, and not counted.
    disk around;
    patient_disk patient_around(around, patience);
    return count(waiting, log, for_a_sink, patient, cancelled) +
           count(misplaced(directory, patient_around, cancelled), log, elsewhere, patient_around, cancelled);
} catch (const std::exception& failure) {
    say_unreadable(options, log, failure);
    return 0;
}

}  // namespace tracker
