#include "tracker/spool/adoption.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <system_error>
#include <utility>

#include "lifecycle/lines.hpp"
#include "tracker/spool/stranded.hpp"

namespace tracker {
namespace {

using lifecycle::clock;

/// Sets at a time. Each has three descriptors or more; a process that cannot deliver while others crash must not run
/// out of them.
constexpr std::size_t most_sets = 16;

/// Before a call is made again that the disk has failed, doubled each time.
constexpr std::chrono::milliseconds first_pause{10};

std::uint64_t bytes_of(const std::filesystem::path& file) {
    struct stat status = {};
    return ::lstat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size)
                                                                          : 0;
}

/// About: what cannot be looked at is reported when it is taken over. Until then it is one byte at least: nobody may
/// think that all has been looked at.
std::uint64_t bytes_in_sets(const std::filesystem::path& spool, disk& files) {
    std::uint64_t all = 0;
    std::vector<std::string> sets, names;
    if (files.list(spool.c_str(), sets) != 0 && !is_answer(errno)) ++all;
    for (const auto& set : sets) {
        if (set.starts_with('.')) continue;
        names.clear();
        if (files.list((spool / set).c_str(), names) != 0 && !is_answer(errno)) ++all;
        for (const auto& name : names) all += bytes_of(spool / set / name);
    }
    return all;
}

}  // namespace

adoption::adoption(spool_state& of) : state_(of), at_start_(bytes_in_sets(of.directory, of.files)) {}

/// One look: how much of it is to come, that a stop ends it, and what a disk that fails means for it.
class adoption::watch final : public reading_watch, public patience {
public:
    explicit watch(adoption& of) : of_(of), state_(of.state_) {}
    ~watch() override { forget(); }
    watch(const watch&) = delete;
    watch& operator=(const watch&) = delete;

    void expects(std::uint64_t bytes) override {
        forget();
        left_ = bytes;
        of_.bytes_left_ += bytes;
        of_.at_start_ -= std::min(bytes, of_.at_start_.load());
    }
    bool has_read(std::uint64_t bytes) override {
        const auto part = std::min(bytes, left_);  // after damage some are read again
        left_ -= part;
        of_.bytes_left_ -= part;
        if (!said_ && clock::now() > began_ + std::chrono::seconds(1)) {
            said_ = true;
            lifecycle::lines(state_.log)
                .info(
                    "tracker: looking at what an earlier run has left, {bytes} bytes are left; its events are "
                    "delivered after that",
                    left_);
        }
        return state_.is_closed();
    }

    bool waits(std::string_view file, std::string_view call, int error, unsigned times) override {
        state_.note_unreadable(fmt::format("{}: {}: {}", file, call, std::generic_category().message(error)));
        std::unique_lock lock(state_.mutex);
        state_.adoption_fails = true;
        if (times >= patient_disk::most_tries) return false;
        const auto pause = std::min(state_.pause_after(times), first_pause * (1U << times));
        return !state_.closing.wait_for(lock, pause, [this] { return state_.closed; });
    }
    void is_over() override {
        {
            const std::scoped_lock lock(state_.mutex);
            state_.adoption_fails = failed;
        }
        state_.note_readable();
    }

    bool failed = false;  ///< something could not be read however often it was tried

private:
    void forget() { of_.bytes_left_ -= std::exchange(left_, 0); }

    adoption& of_;
    spool_state& state_;
    const clock::time_point began_ = clock::now();
    std::uint64_t left_ = 0;
    bool said_ = false;
};

void adoption::look() {
    {
        const std::scoped_lock lock(state_.mutex);
        // Each sink has a worker, and each comes by here: the first whose look is due takes it on for all.
        if (clock::now() < state_.adopt_at || state_.closed) return;
        state_.adopt_at = clock::now() + state_.settings.adopt_interval;
    }
    leftovers over;
    watch now(*this);
    patient_disk files(state_.files, now);
    try {
        for (const auto& directory : sets_in(state_.directory, files)) {
            // The rest stays where it is, safe, until there is room for it: see cursor::move_on.
            if (full()) break;
            if (!adopt(directory, {.files = files, .watch = &now}, over)) now.failed = true;
        }
    } catch (const std::system_error& error) {
        state_.note_unreadable(error.what());
        now.failed = true;
    }
    {
        const std::scoped_lock lock(state_.mutex);
        state_.adoption_fails = now.failed;
        failures_ = now.failed ? failures_ + 1 : 0;
        if (now.failed) state_.adopt_at = clock::now() + state_.pause_after(failures_);
    }
    state_.note_readable();
    if (!now.failed) at_start_ = 0;  // with what was no segment, or is another process's
    // After all that is left has been taken over, since it may wait.
    if ((over.delivered.empty() && over.empty.empty()) || !state_.sinks_have_it_for_good(nullptr, 0)) return;
    for (const auto& segment : over.delivered) remove_segment(*segment);
    for (const auto& set : over.empty) remove_segment_set(*set);
}

/// False when the disk does not let it be read: it is tried again.
bool adoption::adopt(const std::filesystem::path& directory, const reading& how, leftovers& over) try {
    if (must_wait(directory, state_.settings.sinks, how.files)) return true;
    // One that is ours is locked, by ourselves.
    const auto set = adopt_segment_set(directory, state_.settings.sinks, state_.log, how);
    if (!set) return true;
    std::ranges::move(set->delivered, std::back_inserter(over.delivered));
    stranded_ += set->stranded;
    const auto events = set->left();
    if (events == 0) {
        over.empty.push_back(set);
        return true;
    }
    lifecycle::lines(state_.log)
        .warn("tracker: recovered {events} events that an earlier run had accepted and not delivered ({spool})", events,
              set->name());
    {
        const std::scoped_lock lock(state_.mutex);
        // Before our own, since it is older.
        state_.sets.insert(std::ranges::find(state_.sets, state_.own), set);
        state_.counts.recovered += events;
    }
    state_.arrived.notify_all();
    return true;
} catch (const std::system_error& error) {
    if (error.code() == std::errc::no_such_file_or_directory || state_.is_closed()) return true;
    state_.note_unreadable(error.what());
    return false;
}

bool adoption::full() const {
    const std::scoped_lock lock(state_.mutex);
    return state_.sets.size() >= most_sets;
}

}  // namespace tracker
