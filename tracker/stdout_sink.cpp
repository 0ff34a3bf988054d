#include "tracker/stdout_sink.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace tracker {
namespace {

[[noreturn]] void fail(std::string_view what, int error) {
    throw std::runtime_error(fmt::format("stdout: {}: {}", what, std::generic_category().message(error)));
}

/// pipe(7): poll(2) reports room when a write of PIPE_BUF bytes would not block; a larger one may
/// still block when the descriptor is blocking, and whether it is belongs to whoever gave it to us.
std::size_t chunk_for(int descriptor) {
    struct stat status = {};
    const bool plain_file = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    return plain_file ? SIZE_MAX : PIPE_BUF;
}

}  // namespace

stdout_sink::stdout_sink(int descriptor, std::chrono::milliseconds patience)
    : descriptor_(descriptor), patience_(patience), chunk_(chunk_for(descriptor)) {}

void stdout_sink::deliver(std::span<const event> batch) {
    std::string text;
    for (const auto& event : batch) {
        append_json(text, event);
        text += '\n';
    }
    if (batch_.empty() || text != batch_) {
        // Another batch than the one that failed: finish the line that was begun, if one was.
        std::string begun;
        if (sent_ > 0 && unsent_[sent_ - 1] != '\n')
            begun = unsent_.substr(sent_, unsent_.find('\n', sent_) + 1 - sent_);
        unsent_ = begun + text;
        sent_ = 0;
        batch_ = std::move(text);
    }
    const auto until = std::chrono::steady_clock::now() + 4 * patience_;
    while (sent_ < unsent_.size()) {
        if (std::chrono::steady_clock::now() >= until) fail("its reader is slow", ETIMEDOUT);
        if (!wait_for_room()) continue;
        const auto written = ::write(descriptor_, unsent_.data() + sent_, std::min(chunk_, unsent_.size() - sent_));
        if (written > 0)
            sent_ += static_cast<std::size_t>(written);
        else if (written < 0 && errno != EINTR && errno != EAGAIN)
            fail("write", errno);
    }
    batch_.clear();
    unsent_.clear();
    sent_ = 0;
}

/// False: a signal has come instead, as one does that asks this thread for its stack; a write would block.
bool stdout_sink::wait_for_room() const {
    pollfd room{descriptor_, POLLOUT, 0};
    const int ready = ::poll(&room, 1, static_cast<int>(patience_.count()));
    if (ready < 0 && errno != EINTR) fail("poll", errno);
    if (ready == 0) fail("its reader takes nothing", ETIMEDOUT);
    return ready > 0;  // an error or a gone reader is told by the write that follows, with its errno
}

}  // namespace tracker
