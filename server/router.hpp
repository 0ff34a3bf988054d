#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lifecycle/context.hpp"
#include "lifecycle/task_group.hpp"
#include "server/draining.hpp"
#include "server/request.hpp"
#include "server/response.hpp"

namespace server {

class handler;
class session;
class wire;
struct host;

/// What can be called as a handler, and is not one yet.
template <class F>
concept answering = !std::same_as<F, handler> && std::invocable<F&, lifecycle::context, const request&>;

/// Answers one request, on its connection's loop, so it must not block. It takes the request's context first; the
/// request lives until it has returned; what it throws becomes a 500. There are two kinds, and a route takes both:
///
///     response(const context&, const request&)          a plain function: has nothing to wait for, costs no coroutine
///     awaitable<response>(context, const request&)      a coroutine: may wait, and should end when its context does
/// Anything that can be called like that is one: a function, a lambda. Every loop may call it, so it must not change
/// what it holds.
class handler {
public:
    using plain_function = std::function<response(const lifecycle::context&, const request&)>;
    using coroutine = std::function<lifecycle::awaitable<response>(lifecycle::context, const request&)>;

    handler() = default;  ///< none: not to be called
    template <answering F>
    handler(F f) : does_(kind_of<F>(std::move(f))) {}  // not explicit: a route is given the function itself

    explicit operator bool() const noexcept {
        return std::visit([](const auto& does) { return static_cast<bool>(does); }, does_);
    }
    /// nullptr when it is a coroutine.
    const plain_function* as_plain() const noexcept { return std::get_if<plain_function>(&does_); }

    /// Either kind as a coroutine, for callers that are coroutines: a middleware, a test. This handler must outlive it.
    lifecycle::awaitable<response> operator()(lifecycle::context context, const request& request) const;

private:
    template <class F>
    using kind_of = std::conditional_t<
        std::same_as<std::remove_cvref_t<std::invoke_result_t<F&, lifecycle::context, const request&>>, response>,
        plain_function, coroutine>;

    std::variant<plain_function, coroutine> does_;
};

/// A plain handler from a function of the request alone.
template <class F>
handler plain(F f) {
    return [f = std::move(f)](const lifecycle::context&, const request& request) -> response { return f(request); };
}

/// Makes a handler from a handler, of either kind. A middleware that makes a coroutine works around both kinds; if it
/// makes a plain function where `as_plain` says that the wrapped one is plain, the route is spared the coroutine.
using middleware = std::function<handler(handler)>;

/// One method of one path.
struct route {
    std::string name;  ///< "GET /slow", for metrics, tasks and logs
    handler handle;
    bool exempt = false;  ///< answered above `max_in_flight` too
    at_drain at_stop = at_drain::finish;
    bool events = false;   ///< answered by streams of events, and by no other status than 200
    bool decodes = false;  ///< its handler decodes Content-Encoding; for other routes such a body is 415
    /// A connection on which its handler has answered 101 continues as what this makes; see session.
    std::function<std::unique_ptr<session>(wire)> becomes = {};
    std::function<void(host&, boost::asio::io_context&)> joins = {};  ///< is told of each loop before it serves
    bool streams_body = false;                                        ///< its handler takes the body as it arrives
    std::uint64_t most_body = UINT64_MAX;                             ///< ... and at most this much of it; above: 413
    std::size_t index = 0;
};

/// Paths and a number for each: few, added once, looked for by each request.
class path_table {
public:
    void add(std::string_view path, std::size_t number);
    /// nullptr: it has not been added.
    const std::size_t* find(std::string_view path) const noexcept {
        const auto* const slots = slots_.data();
        const auto last = slots_.size() - 1;
        for (auto nth = hash(path) & last; slots[nth].number != none; nth = (nth + 1) & last)
            if (slots[nth].path == path) return &slots[nth].number;
        return nullptr;
    }

private:
    static constexpr std::size_t none = SIZE_MAX;

    /// By the size and the last bytes, in which paths differ; a client that sends one cannot add one.
    static std::size_t hash(std::string_view path) noexcept {
        std::uint64_t last = path.size();
        if (path.size() >= sizeof last)
            std::memcpy(&last, path.data() + path.size() - sizeof last, sizeof last);
        else
            for (const char byte : path) last = last << 8 | static_cast<unsigned char>(byte);
        return last * 0x9e37'79b9'7f4a'7c15U >> 32;
    }

    struct slot {
        std::string path;
        std::size_t number = none;
    };

    std::vector<slot> slots_ = std::vector<slot>(4);  ///< a power of two; at least three in four are empty
    std::size_t used_ = 0;
};

/// Finds the route that answers. Built once, before the server starts; after that read by every loop without a lock.
///
/// A pattern is a path whose segments may be `{name}`, which matches one segment that is not empty. An
/// exact path wins over patterns, and an earlier pattern over a later one.
class router {
public:
    /// Routes added after this one are wrapped; the first added is the outermost. So is what the router itself says of
    /// their paths (405, OPTIONS), and outside of groups its 404 and all that the server says itself (see `own`), where
    /// the middleware leaves a plain handler plain: such an answer does not wait. The request has no `route` then, and
    /// no `peer`.
    router& use(middleware wrap);
    /// Routes that `add` adds to this router get the prefix, and middleware that it `use`s wraps only them, inside what
    /// is used already. `routes.group("/admin", [](router& admin) { … })`; a prefix may be empty.
    router& group(std::string_view prefix, const std::function<void(router&)>& add);
    router& add(http::verb method, std::string_view pattern, handler handle, bool exempt = false);
    router& get(std::string_view pattern, handler handle) { return add(http::verb::get, pattern, std::move(handle)); }
    router& post(std::string_view pattern, handler handle) { return add(http::verb::post, pattern, std::move(handle)); }
    router& put(std::string_view pattern, handler handle) { return add(http::verb::put, pattern, std::move(handle)); }
    router& patch(std::string_view pattern, handler handle) {
        return add(http::verb::patch, pattern, std::move(handle));
    }
    router& del(std::string_view pattern, handler handle) {  // `delete` is a word of C++
        return add(http::verb::delete_, pattern, std::move(handle));
    }
    /// For probes: the limit of requests in flight does not apply.
    router& probe(std::string_view pattern, handler handle) {
        return add(http::verb::get, pattern, std::move(handle), true);
    }

    /// For a handler that takes the body as it arrives, `awaitable<response>(context, const request&, request_body&)`:
    /// it is asked when the head is there. `most`: bytes of a body; above: 413. `options::max_body_bytes` does not
    /// apply.
    template <class F>
    router& streamed(http::verb method, std::string_view pattern, F handle, std::uint64_t most = UINT64_MAX) {
        const auto with_body = [handle = std::move(handle)](lifecycle::context context, const request& request) {
            return handle(std::move(context), request, *request.incoming);
        };
        return takes_body_in_pieces(add(method, pattern, handler(with_body)), most);
    }

    /// For an `event_stream`, which is told when the drain begins.
    router& events(std::string_view pattern, handler handle);

    /// For the route added last: what happens to its requests when the drain begins.
    router& at_stop(at_drain manner);
    /// For the route added last: its handler decodes the Content-Encoding of a body itself.
    router& decodes();
    /// For the route added last: an answer of 101 by its handler, with the fields that belong to it, hands the
    /// connection over to what `make` makes, in HTTP/2 the stream. Called on the loops. `joins` is called for each loop
    /// before any of them serves, by the code that makes the server: a client that has its 101 may count on all that
    /// the loop has of the route.
    router& becomes(std::function<std::unique_ptr<session>(wire)> make,
                    std::function<void(host&, boost::asio::io_context&)> joins = {});
    bool has_sessions() const noexcept { return has_sessions_; }  ///< a route becomes something else
    void joined(host& loop, boost::asio::io_context& its_context) const;

    /// The route that answers, with the parameters of its pattern in the request; HEAD is answered
    /// by GET. nullptr: `fallback` has the answer.
    const route* find(request& request) const;

    /// 404, 405 with Allow, 204 with Allow for OPTIONS, as middleware makes them.
    response fallback(const request& request) const;

    /// What the server itself answers (400, 408, 413, 503, 504, a 500 for what was thrown), as middleware that was used
    /// outside of groups makes it. Its status stays: what a middleware would answer in its place (401) is left out, and
    /// what it adds to the answer is kept. `asked` is empty where the head of the request was not to be read.
    response own(const request& asked, const response& answer) const;
    bool wraps_own() const noexcept { return static_cast<bool>(own_); }

    /// Called on the loops: a handler has returned (`true`), an answer is on its way. Not to be changed later.
    std::function<void(const class connection&, http::status, bool handled)> observe;

    /// How many routes there are, and their names by index.
    std::vector<std::string> names() const;

private:
    struct resource {
        std::string pattern;
        std::vector<std::string> segments;  ///< of a pattern with parameters
        std::vector<std::pair<http::verb, route>> methods;
        std::shared_ptr<std::string> allow;  ///< as `rest` says it
        handler rest;                        ///< plain: of other methods
    };
    const resource* find_resource(std::string_view path,
                                  std::vector<std::pair<std::string_view, std::string_view>>* parameters) const;
    route& last();
    static router& takes_body_in_pieces(router& last_of, std::uint64_t most);
    resource& resource_for(std::string_view pattern);
    /// Wrapped by all that leave it plain.
    handler wrapped_plain(handler handle) const;
    handler wrapped_own() const;

    std::vector<resource> resources_;
    path_table exact_;  ///< of `resources_`, those without parameters
    std::vector<std::size_t> patterns_;
    std::vector<middleware> wraps_;
    std::string prefix_;  ///< of the group that is being added
    bool grouped_ = false;
    handler not_found_;  ///< plain; none: nobody wraps it
    handler own_;        ///< plain, of what is in its context; none: nobody wraps it
    std::size_t routes_ = 0;
    bool has_sessions_ = false;
    std::size_t last_ = 0;  ///< the resource that the last route was added to
};

}  // namespace server
