#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "lifecycle/stop_channel.hpp"
#include "server/exchange.hpp"

namespace server {

/// The moments of a loop: what time it is, and whether the process stops. Each look at the time is a look at the stop,
/// so that no event is dealt with as if there were none.
///
/// The stop channel outlives it. Only on the loop's thread. Throws nothing itself.
class loop_clock {
public:
    /// The stop of that number has begun (stop_channel::nth_stop), or, if it is 0, the last has been withdrawn.
    using notice_function = std::function<void(std::uint64_t nth)>;

    /// `stop` is nullptr on a server that does not drain: nothing stops there. `noticed` is called once for each stop,
    /// before anybody is told of a moment of it.
    loop_clock(const lifecycle::stop_channel* stop, notice_function noticed);

    moment now() {
        last_ = lifecycle::clock::now();
        is_fresh_ = true;
        return at(last_);
    }
    /// For what comes next in that turn of the sockets (poll_set::turn): the time at which what came before it has
    /// ended, if that has been read, since there is next to nothing between the two.
    moment next_in(std::uint64_t turn) {
        if (!std::exchange(is_fresh_, false) || turn != turn_) {
            turn_ = turn;
            return now();
        }
        return at(last_);
    }
    /// The same for a time that has been read already.
    moment at(lifecycle::clock::time_point now) {
        const bool stops = stopping();
        return {.now = now, .stopping = stops, .parting = stops && now >= parting_};
    }
    /// True from the first moment of a stop: responses say `Connection: close`.
    bool stopping() {
        const auto nth = stop_ == nullptr ? 0 : stop_->nth_stop();
        if (nth != noted_) note(nth);
        return nth != 0;
    }
    /// The same, as of the last look.
    bool has_noted_stop() const noexcept { return noted_ != 0; }
    /// From then on newcomers of this stop are told too: see moment::parting.
    void part_from(lifecycle::clock::time_point when) noexcept { parting_ = when; }

private:
    void note(std::uint64_t nth);

    const lifecycle::stop_channel* const stop_;
    const notice_function noticed_;
    std::uint64_t noted_ = 0;  ///< stop_channel::nth_stop; 0: none
    lifecycle::clock::time_point parting_{};
    lifecycle::clock::time_point last_{};
    bool is_fresh_ = false;   ///< `last_`: nothing has begun by it
    std::uint64_t turn_ = 0;  ///< in which that was read
};

}  // namespace server
