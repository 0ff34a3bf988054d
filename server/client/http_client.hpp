#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lifecycle/done_collector.hpp"
#include "lifecycle/pool/pool.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/task_group.hpp"
#include "server/call_observer.hpp"
#include "server/client/client_tls.hpp"
#include "server/client/upstream.hpp"
#include "server/options.hpp"
#include "server/router.hpp"
#include "server/traceparent.hpp"

namespace server {

/// What is asked of an upstream.
struct client_request {
    upstream_target to;
    http::verb method = http::verb::get;
    /// Besides those that the client writes itself: Host, Connection, Content-Length, X-Request-Timeout, the trace.
    std::vector<std::pair<std::string, std::string>> fields = {};
    std::string body = {};
    trace_context trace = {};  ///< of the request that this call is part of
};

/// What an upstream has answered, whatever its status.
struct client_response {
    unsigned status = 0;
    std::vector<std::pair<std::string, std::string>> fields;
    std::string body;

    /// The first field of that name; empty when there is none.
    std::string_view header(std::string_view name) const noexcept;
};

/// Calls other HTTP/1.1 servers on behalf of handlers, on the loop of the caller. In clear or by TLS, and only those
/// that `client.allow` names; no redirect is followed.
///
/// Connections are kept, per loop and upstream, and limited; a call that finds none free waits in order. Each step of a
/// call (name, place, connect, send, receive) ends with the context. A request that may be repeated (RFC 9110, section
/// 9.2.2) is repeated once, on a fresh connection, when a kept one dies before a byte of the answer: it may have been
/// closed for no other reason than its age (RFC 9112, section 9.3.1).
///
/// Lifetime: main's, longer than the servers whose handlers use it and than their loops' last turn. Names are looked
/// up by workers of its own, a part: see `start`. Everything but `start` is safe from any thread.
class http_client {
public:
    /// Throws std::runtime_error with one line when `client.allow` is no list of origins, or a file of TLS is not what
    /// it should be. Adds its part to `stop`, if it has one; starts nothing.
    http_client(const client_options& options, lifecycle::stop_channel& stop, lifecycle::workers& workers,
                spdlog::logger& log);

    /// Runs the part "names", which looks up names; none when all upstreams are IP literals. Added before the servers
    /// whose handlers make calls, it ends after them. A look-up for which no call waits any more delays its end for as
    /// long as the C library takes to give it up, which is limited to some seconds.
    void start(lifecycle::done_collector& done);

    /// Reads the files of TLS again, for connections from here on; a fault is a line of the log, and all stays. Blocks.
    void reload();

    /// `own` and the route of this module, GET /aggregate.
    router routes(router own) const;

    /// It sees each call. Before the first one.
    void observe_by(std::shared_ptr<call_observer> observer) { observer_ = std::move(observer); }

    /// See `allow_list::find`.
    boost::system::result<upstream_target> find(std::string_view url) const { return allowed_.find(url); }

    /// Sends a request and receives the whole answer. Errors: `timed_out` or `operation_canceled` when the context has
    /// ended; otherwise what has gone wrong last: of the name, the connection, or the answer (Beast's http::error when
    /// it is too large or no HTTP). Throws std::invalid_argument when a field would end early.
    ///
    /// `context` also says how long the upstream may take: what is left goes along as X-Request-Timeout.
    lifecycle::awaitable<boost::system::result<client_response>> send(
        lifecycle::context context, client_request request,
        std::source_location where = std::source_location::current()) const;

private:
    class connector;
    lifecycle::awaitable<boost::system::result<client_response>> perform(lifecycle::context context,
                                                                         client_request request,
                                                                         std::source_location where) const;

    const client_options options_;
    const lifecycle::stop_channel& stop_;
    const allow_list allowed_;
    spdlog::logger& log_;
    const std::unique_ptr<client_tls> tls_;  ///< nullptr: no upstream is called over TLS
    const std::optional<lifecycle::part> looks_up_;
    mutable lifecycle::pool names_;
    std::shared_ptr<call_observer> observer_;  ///< nullptr: calls are not observed
};

}  // namespace server
