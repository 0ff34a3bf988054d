#include "server/draining.hpp"

namespace server {

using lifecycle::clock;

lifecycle::context until_drain(const lifecycle::context& of) {
    const auto* const notice = of.find<drain_notice>();
    return notice == nullptr ? of : notice->until;
}

clock::duration left_to_say(const lifecycle::context& of) {
    const auto* const notice = of.find<drain_notice>();
    if (notice == nullptr || *notice->app_gives_up == clock::time_point::max()) return clock::duration::max();
    return *notice->app_gives_up - clock::now();
}

}  // namespace server
