#include "cmd/service/last_run/run_marker.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <chrono>
#include <condition_variable>
#include <utility>

namespace {

namespace json = boost::json;

/// Always the same, padded with blanks, so that an overwrite leaves no rest of the last; and no more than a sector,
/// which a disk writes whole: the note is overwritten in place, since the lock is on the file.
constexpr std::size_t size = 512;

std::string now() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

std::string text_of(const json::value& from, std::string_view key) {
    const auto* const found = from.is_object() ? from.as_object().if_contains(key) : nullptr;
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : std::string();
}

std::int64_t number_of(const json::value& from, std::string_view key) {
    const auto* const found = from.is_object() ? from.as_object().if_contains(key) : nullptr;
    return found != nullptr && found->is_int64() ? found->as_int64() : 0;
}

}  // namespace

run_marker::run_marker(const std::string& directory, bool follows)
    : directory_(directory),
      descriptor_(::open((directory + "/last-run.json").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644)) {
    struct stat found {};
    if (descriptor_ >= 0 && (::fstat(descriptor_, &found) != 0 || !S_ISREG(found.st_mode)))
        ::close(std::exchange(descriptor_, -1));
    if (!follows && lock())
        read_previous();
    else
        waits_ = descriptor_ >= 0;
}

/// False while it is of another process, which is alive: generations overlap, and this one may have it later.
bool run_marker::lock() noexcept { return descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0; }

run_marker::~run_marker() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void run_marker::read_previous() {
    std::array<char, 2 * size> bytes{};  // it was twice as long once
    const auto count = ::pread(descriptor_, bytes.data(), bytes.size(), 0);
    if (count <= 0) return;
    boost::system::error_code error;
    const auto note = json::parse({bytes.data(), static_cast<std::size_t>(count)}, error);
    const auto phase = text_of(note, "phase");
    if (!error && !phase.empty()) previous_note_ = json::serialize(note);
    if (error || phase.empty()) {
        previous_kind_ = "unknown";
        previous_story_ = "previous run: its note cannot be read";
        return;
    }
    if (phase == "handed over") {
        // A successor takes the note over as soon as this process has ended, and it has not lived to do so.
        previous_kind_ = "killed";
        previous_story_ = fmt::format("previous run: killed soon after an upgrade at {}", text_of(note, "time"));
        return;
    }
    if (phase == "ended") {
        const auto code = number_of(note, "exit_code");
        previous_kind_ = code == 0 ? "clean" : fmt::format("exit_{}", code);
        if (code != 0)
            previous_story_ = fmt::format("previous run: ended with exit code {} at {}", code, text_of(note, "time"));
        return;
    }
    previous_kind_ = "killed";
    // What was taken over is delivered too. A note of a time before that was counted has none of it, and may be short.
    const auto unsettled = std::max<std::int64_t>(
        number_of(note, "accepted") + number_of(note, "recovered") - number_of(note, "delivered"), 0);
    previous_story_ = fmt::format(
        "previous run: killed while {} (since {}, pid {}); {} events had then been accepted or taken over, and not "
        "delivered",
        phase, text_of(note, "time"), number_of(note, "pid"), unsettled);
}

void run_marker::phase(const lifecycle::stop_channel::status& status, const tracker::account& events) noexcept try {
    auto phase = std::string(lifecycle::to_string(status.phase));
    if (status.phase == lifecycle::stop_phase::stopping && !status.phases.empty())
        phase = "stopping " + status.phases.back().name;
    write(json::serialize(json::object{{"phase", phase},
                                       {"time", now()},
                                       {"pid", ::getpid()},
                                       {"accepted", events.accepted},
                                       {"recovered", events.recovered},
                                       {"delivered", events.delivered}}),
          status.phase == lifecycle::stop_phase::serving);
} catch (...) {  // NOLINT(bugprone-empty-catch): a note is not worth a stop
}

void run_marker::ended(const lifecycle::shutdown_report& report) noexcept try {
    // After an upgrade the service has not ended: the successor, which could not have the file, may write here from now
    // on.
    write(json::serialize(json::object{{"phase", report.cause == "upgrade" ? "handed over" : "ended"},
                                       {"time", now()},
                                       {"pid", ::getpid()},
                                       {"exit_code", report.exit_code},
                                       {"cause", report.cause},
                                       {"duration_ms", report.duration.count()},
                                       {"answered", report.work_answered},
                                       {"cut", report.work_cut},
                                       {"events_left", report.events_left}}),
          report.notes == lifecycle::note_file::durability::synced);
} catch (...) {  // NOLINT(bugprone-empty-catch): a note is not worth a stop
}

void run_marker::take_over(const std::stop_token& token) noexcept try {
    constexpr std::chrono::milliseconds look_again{100};
    std::condition_variable_any never;
    std::unique_lock one_at_a_time(writing_);
    while (!lock()) {
        never.wait_for(one_at_a_time, token, look_again, [] { return false; });
        if (token.stop_requested()) return;
    }
    put(last_, true);
} catch (...) {  // NOLINT(bugprone-empty-catch): a note is not worth a stop
}

void run_marker::write(const std::string& text, bool synced) {
    const std::scoped_lock one_at_a_time(writing_);
    if (!lock()) {
        last_ = text;
        return;
    }
    put(text, synced);
}

/// `synced`: a loss of power shows this note, not the one before, once this has returned.
void run_marker::put(const std::string& text, bool synced) noexcept {
    if (text.empty() || text.size() >= size) return;
    std::array<char, size> bytes;
    bytes.fill(' ');
    text.copy(bytes.data(), text.size());
    bytes.back() = '\n';
    if (::pwrite(descriptor_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) || !synced) return;
    ::fdatasync(descriptor_);
    if (std::exchange(entered_, true)) return;
    // It may be the first of this directory, and then it is there when the directory says so.
    const int directory = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return;
    ::fsync(directory);
    ::close(directory);
}
