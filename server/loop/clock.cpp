#include "server/loop/clock.hpp"

#include <cassert>
#include <new>
#include <utility>

namespace server {

using lifecycle::clock;

/// Of the lame duck newcomers are told in the last tenth; where there is no memory to ask when it began, at once.
/// What notices the stop first may be something that must not throw.
static clock::time_point parting_in(const lifecycle::stop_channel& stop) noexcept try {
    return stop.now().began + stop.options().lame_duck * 9 / 10;
} catch (const std::bad_alloc&) {
    return clock::now();
}

loop_clock::loop_clock(const lifecycle::stop_channel* stop, notice_function noticed)
    : stop_(stop), noticed_(std::move(noticed)) {}

/// A loop that stood still while a stop was withdrawn may find the next one in its place.
void loop_clock::note(std::uint64_t nth) {
    assert(nth != noted_ && "a stop is noted once");
    noted_ = nth;
    if (nth != 0) parting_ = parting_in(*stop_);
    noticed_(nth);
}

}  // namespace server
