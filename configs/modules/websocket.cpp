#include "configs/fields.hpp"
#include "configs/kinds.hpp"
#include "configs/module_settings.hpp"

namespace configs {

std::vector<setting> rows_of_websocket() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        size("app.max_websocket_message", "size of a WebSocket message, whole and decompressed; above: close 1009",
             LIVE(app.max_websocket_message), 125, std::uint64_t{1} << 30U),
        duration("app.websocket_ping", "time between pings; one that answers none for two is cut; 0s: none",
                 LIVE(app.websocket_ping), 0ms, 24h),
    };
}

}  // namespace configs
