#include "server/http1/state.hpp"

#include <array>
#include <chrono>

namespace server {

using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds first_request{1'000};  // comes with the end of a handshake, or a round trip later

}  // namespace

std::string_view to_string(connection_state state) noexcept {
    constexpr std::array<std::string_view, connection_states> names{
        "fresh", "idle", "reading head", "reading body", "handling", "writing", "streaming", "lingering"};
    return names[static_cast<std::size_t>(state)];
}

connection_view http1_state::view() const noexcept {
    return {.state = state_,
            .since = since_,
            .deadline = deadline_,
            .rests = work_ == nullptr,
            .told = work_ && work_->current.told,
            .forced = flags_.forced,
            .abandoned = abandoned(),
            .sends_on = flags_.sends_on,
            .to_be_told = work_ && work_->current.to_be_told(),
            .was_told = work_ && work_->current.was_told(),
            .can_end = work_ && work_->current.can_end(),
            .stirs = flags_.stirs,
            .receives = flags_.receives,
            .has_ended = flags_.told_end && flags_.hurries,
            .awaited = flags_.shook_hands && state_ == state::fresh ? since_ + first_request : clock::time_point{}};
}

std::uint64_t http1_state::least_bytes(clock::duration over) const noexcept {
    return limits().min_data_rate * static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(over).count()) /
           1'000;
}

}  // namespace server
