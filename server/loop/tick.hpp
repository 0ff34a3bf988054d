#pragma once

#include "server/loop.hpp"
#include "server/loop/date_field.hpp"
#include "server/loop/drain.hpp"
#include "server/loop/gone_clients.hpp"
#include "server/loop/resources.hpp"

namespace server {

/// What a loop does at each of its coarse ticks: it enforces every deadline of its connections, so that none of them
/// needs a timer, looks how far the drain has come, and says what others may know of it.
///
/// Only on the loop's thread; what it is given outlives it.
class loop_tick {
public:
    loop_tick(const environment& env, loop_resources& of, loop_drain& drain);

    /// It has come at that time, and so late. Throws std::bad_alloc: the rest comes at the next.
    void come(lifecycle::clock::time_point now, lifecycle::clock::duration lag);

private:
    void update_date();
    void look_after_connections(const drain_view& drain, const moment& at);
    void name_late();

    const environment& env_;
    loop_resources& of_;
    loop_drain& drain_;
    date_field date_;
    gone_clients gone_;
    lifecycle::clock::time_point next_idle_look_{};
};

}  // namespace server
