#include "configs/fields.hpp"
#include "configs/kinds.hpp"
#include "configs/module_settings.hpp"

namespace configs {

std::vector<setting> rows_of_http2() {
    using namespace kinds;
    return {
        boolean("app.http2", "HTTP/2, by ALPN and in clear by prior knowledge", FIELD(app.http2)),
        number("app.http2_max_streams", "requests of one HTTP/2 connection at a time; above: 503",
               LIVE(app.http2_max_streams), 1, 1'000'000),
    };
}

}  // namespace configs
