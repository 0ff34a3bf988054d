#include "server/loop/resources.hpp"

#include <new>
#include <utility>

#include "server/shared_places.hpp"

namespace server {

static constexpr std::size_t scratch_size = 16 * 1024;

loop_resources::loop_resources(const environment& env, std::size_t index, boost::asio::io_context& io, published& seen,
                               loop_drain& drain)
    : env_(env),
      io_(io),
      seen_(seen),
      clock_(env.stop, [this](std::uint64_t nth) { connections_.note_stop(nth); }),
      host_{.routes = env.routes,
            .limits = env.limits,
            .places = admission(
                [this](bool to_the_last) {
                    return env_.places->has_one(seen_.account, host_.limits->max_in_flight, to_the_last);
                },
                seen.account.crowded_until),
            .ids = {},
            .date = {}},
      sockets_(io, [this] { access_.write(); }),
      workspaces_(host_.limits),
      scratch_(scratch_size),
      turns_(io),
      connections_(seen, clock_, turns_, drain),
      log_(env.log, env.name, index),
      access_(env, io, sockets_),
      requests_(env, seen, host_, log_, access_),
      tasks_(io.get_executor()),
      handlers_(tasks_) {
    env.routes.joined(host_, io);
}

bool loop_resources::has_place_for(const socket_address& client, client_table::share& share) noexcept try {
    const auto& limits = *host_.limits;
    const auto most = limits.max_connections_per_client;
    if (most == 0 || client.is_unix() || is_among(client, limits.trusted_proxies)) return true;
    auto taken = env_.clients->take(client.address());
    share = std::move(taken.held);
    return taken.nth <= most;
} catch (const std::bad_alloc&) {
    return false;
}

}  // namespace server
