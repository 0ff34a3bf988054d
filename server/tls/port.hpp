#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "lifecycle/workers.hpp"
#include "server/metrics.hpp"
#include "server/net/layer.hpp"
#include "server/options.hpp"
#include "server/tls/watch.hpp"

namespace server::tls {

/// A port that speaks TLS: its certificates, as long as it has some, and how they are replaced while it serves.
///
/// main owns it, and it outlives the server that has its `layers`. Safe from any thread.
class port {
public:
    /// How a setting is shown, by its key without the part before the dot: `app.tls_key = ["k.pem"] (--app.tls_key)`.
    using show = std::function<std::string(std::string_view key)>;

    /// Reads the files of `by`, if it names some. `name` is the server's; `log` outlives this. Blocks. Throws
    /// std::runtime_error with one line that names the setting, its place and what is allowed.
    port(std::string name, const tls_options& by, const show& shown, spdlog::logger& log, const pace& = {});
    ~port();

    /// Throws what the constructor would.
    static void check(std::string_view name, const tls_options& by, const show& shown);
    port(const port&) = delete;
    port& operator=(const port&) = delete;

    /// nullptr: it speaks in clear.
    std::shared_ptr<layer_source> layers() const;

    /// Reads the files again. What is well is in force for connections from here on; of what is not there is one line,
    /// and all stays. Blocks.
    void reload();

    /// Does so when files change, on a thread that ends when the returned one is destroyed; warns of certificates that
    /// expire. Without certificates there is none.
    std::jthread watch(lifecycle::workers& workers) const;  // lint: lifecycle::workers start it

    /// Of all of them, those in clear left out.
    static void write_metrics(metrics_text& out, std::initializer_list<const port*> ports);

private:
    struct state;
    std::shared_ptr<state> state_;  ///< nullptr: in clear
};

}  // namespace server::tls
