#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lifecycle/context.hpp"
#include "lifecycle/task_group.hpp"
#include "server/request.hpp"
#include "server/response.hpp"

namespace server {

/// Answers one request, as a coroutine on the connection's loop: it must not block, and should end
/// when its context does. What it throws becomes a 500. The request lives until it has returned.
using handler = std::function<lifecycle::awaitable<response>(lifecycle::context, const request&)>;

/// A handler without anything to wait for, from a function of the request.
template <class F>
handler plain(F f) {
    return [f = std::move(f)](lifecycle::context, const request& request) -> lifecycle::awaitable<response> {
        co_return f(request);
    };
}

/// Makes a handler from a handler.
using middleware = std::function<handler(handler)>;

/// One method of one path.
struct endpoint {
    std::string name;  ///< "GET /slow", for metrics, tasks and logs
    handler handle;
    bool exempt = false;  ///< answered above `max_in_flight` too
    std::size_t index = 0;
};

/// Finds who answers. Built once, before the server starts; after that read by every loop without a lock.
///
/// A pattern is a path whose segments may be `{name}`, which matches one segment that is not empty. An
/// exact path wins over patterns, and an earlier pattern over a later one.
class router {
public:
    /// Routes added after this one are wrapped; the first added is the outermost.
    router& use(middleware wrap);
    router& add(http::verb method, std::string_view pattern, handler handle, bool exempt = false);
    router& get(std::string_view pattern, handler handle) { return add(http::verb::get, pattern, std::move(handle)); }
    router& post(std::string_view pattern, handler handle) { return add(http::verb::post, pattern, std::move(handle)); }
    /// For probes: the limit of requests in flight does not apply.
    router& probe(std::string_view pattern, handler handle) {
        return add(http::verb::get, pattern, std::move(handle), true);
    }

    /// The endpoint that answers, with the parameters of its pattern in the request; HEAD is answered
    /// by GET. nullptr: `fallback` has the answer.
    const endpoint* find(request& request) const;

    /// 404, 405 with Allow, 204 with Allow for OPTIONS.
    response fallback(const request& request) const;

    /// Called on the loops: a handler has returned (`true`), an answer is on its way. Not to be changed later.
    std::function<void(const class connection&, http::status, bool handled)> observe;

    /// How many endpoints there are, and their names by index.
    std::vector<std::string> names() const;

private:
    struct resource {
        std::string pattern;
        std::vector<std::string> segments;  ///< of a pattern with parameters
        std::vector<std::pair<http::verb, endpoint>> methods;
        std::string allow;
    };
    struct hash : std::hash<std::string_view> {
        using is_transparent = void;
    };

    const resource* find_resource(std::string_view path,
                                  std::vector<std::pair<std::string_view, std::string_view>>* parameters) const;
    resource& resource_for(std::string_view pattern);

    std::vector<resource> resources_;
    std::unordered_map<std::string, std::size_t, hash, std::equal_to<>> exact_;
    std::vector<std::size_t> patterns_;
    std::vector<middleware> wraps_;
    std::size_t endpoints_ = 0;
};

}  // namespace server
