#include "tracker/stdout_sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace tracker {
namespace {

/// What waits in the writer at most, but for a longer line: the rest of its room is for the log.
constexpr std::size_t share = lifecycle::line_writer::capacity / 4;

[[noreturn]] void fail(std::string_view what, int error) {
    throw std::runtime_error(fmt::format("stdout: {}: {}", what, std::generic_category().message(error)));
}

}  // namespace

stdout_sink::stdout_sink(std::shared_ptr<lifecycle::line_writer> to, std::chrono::milliseconds patience,
                         deadline_function deadline)
    : to_(std::move(to)), patience_(patience), deadline_(std::move(deadline)) {}

void stdout_sink::deliver(std::span<const event> batch) {
    std::string text;
    for (const auto& event : batch) {
        append_json(text, event);
        text += '\n';
    }
    if (text != batch_) {  // another one than the one that failed; what was given of that goes out by itself
        batch_ = std::move(text);
        given_ = 0;
    }
    const auto patient = std::chrono::steady_clock::now() + 4 * patience_;
    for (;;) {
        const auto give_up = deadline_ ? std::min(patient, deadline_()) : patient;
        const auto taken = to_->take(std::string_view(batch_).substr(given_), std::min(share, to_->piece()));
        if (taken.bytes > 0) until_ = taken.until;
        given_ += taken.bytes;
        const bool all = given_ == batch_.size();
        // Where nothing was taken, lines of others wait, and until they are out there is no room.
        const auto [how, error] = to_->wait(all || taken.bytes > 0 ? until_ : taken.until, patience_, give_up);
        if (how == lifecycle::line_writer::progress::failed) fail("write", error);
        if (how == lifecycle::line_writer::progress::written && all) break;
        if (std::chrono::steady_clock::now() >= give_up) fail("its reader is slow", ETIMEDOUT);
        if (how == lifecycle::line_writer::progress::stalled) fail("its reader takes nothing", ETIMEDOUT);
    }
    batch_.clear();
    given_ = 0;
}

}  // namespace tracker
