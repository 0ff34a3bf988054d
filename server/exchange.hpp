#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "lifecycle/context.hpp"
#include "server/admission.hpp"
#include "server/forwarded.hpp"
#include "server/http1/request_parser.hpp"
#include "server/options.hpp"
#include "server/request_body.hpp"
#include "server/request_observer.hpp"
#include "server/router.hpp"
#include "server/rule.hpp"

namespace server {

/// Ids that no other request of this loop has: 16 hexadecimal digits, random in the first half, counted in the other.
class request_ids {
public:
    request_ids();  ///< at random
    explicit request_ids(std::uint32_t first) noexcept;
    std::string_view make(std::array<char, 16>& into) noexcept;

private:
    std::array<char, 16> last_;
};

/// What a protocol machine may use of its loop: values and decisions, no I/O. Only on the loop's thread.
struct host {
    const router& routes;
    std::shared_ptr<const options> limits;  ///< those in force: whatever begins takes them, and keeps them
    admission places;
    request_ids ids;
    std::string date;       ///< as the field says it
    bool draining = false;  ///< the listener has closed, and the loop is to end
    bool http2 = false;     ///< a client that begins with its preface is served in HTTP/2
    std::unique_ptr<request_observer> observer = nullptr;  ///< nullptr: requests are not observed
};

/// What a machine sees of the world at one event.
struct moment {
    lifecycle::clock::time_point now{};
    bool stopping = false;  ///< answers say `Connection: close` where the protocol has it
    bool parting = true;    ///< ... also to clients that have made a handshake since then
};

/// How a request that has begun ends: with its answer in the socket, by us, or because its client left first.
enum class request_end : std::uint8_t { finished, cut, gone };

/// What has happened to requests since it was said last, for the account of their loop; see request_end.
struct account_changes {
    std::uint32_t began = 0, finished = 0, cut = 0, gone = 0;
    std::uint32_t told = 0;                                    ///< of the drain, while they were streams
    std::uint32_t ended = 0, ended_by_us = 0, cut_stream = 0;  ///< ... and how those ended, if not by the client
    bool any() const noexcept { return (began | finished | cut | gone | told | ended | ended_by_us | cut_stream) != 0; }
};

/// Who ended it and when, two letters in the manner of HAProxy's termination state.
struct ending_letters {
    char who = '-';  ///< - as usual, C client, S handler failed, T our time-out, R limit, P protocol, D drain, K cut by
                     ///< the stop
    char when = '-';  ///< - done, I idle, R reading the request, H in the handler, D sending the answer
};

/// What metrics and access log say of one answer. Its views are valid until the request is over.
struct answer_row {
    const route* to = nullptr;    ///< nullptr: no route
    const request* of = nullptr;  ///< nullptr: what came was not a request, not even its first line
    http::status status = http::status::ok;
    std::size_t digit = 0;  ///< of the status, as metrics have it; 0: the client has gone
    lifecycle::clock::duration took{};
    lifecycle::clock::time_point since{};  ///< when its head was there
    ending_letters letters;
    rule refused_by = rule::none;
    std::optional<std::uint64_t> bytes = std::nullopt;  ///< of its body; none of a stream that has promised no length
};

/// One request and its answer: what a stop looks after.
///
/// It is in a workspace together with the request's bytes, which is not freed or reused while a handler that was called
/// has not returned, even when the server has answered in its place: `abandoned` then, and what it still returns is
/// dropped. Who may touch what: between the call and the return the handler reads the request and its context, and the
/// code that runs it writes `reply` and `thrown`; the machine reads the request and may end the context, no more. Only
/// on the loop's thread.
struct exchange {
    /// Gives the request what it has besides its bytes. `its_id`: X-Request-Id as sent; `traced`: it has a
    /// traceparent; `trusted`: its peer may name its client.
    void begin(request& asked, std::string_view its_id, bool traced, host& on, bool trusted);
    /// Finds what answers, and by when: in `longest`, or sooner if the client wants that. True: the handler of `to` is
    /// to be asked. False: `reply` is there.
    /// `its_timeout`: X-Request-Timeout as sent.
    bool find(request& asked, std::string_view its_timeout, host& on, std::chrono::milliseconds longest,
              admission::patience& patience, bool newcomer, lifecycle::clock::time_point now);
    /// `make` returns the reply, and makes it in its place: a response is moved by some eighty instructions.
    template <class Make>
    void reply_by(const Make& make) {
        std::destroy_at(&reply);
        try {
            ::new (static_cast<void*>(&reply)) response(make());
        } catch (...) {
            std::construct_at(&reply);
            throw;
        }
    }
    /// The server itself answers, not a handler.
    void refuse(rule by, response with) {
        refused_by = by;
        reply = std::move(with);
    }
    /// As middleware makes it, of what the server itself answers; as it is when that throws. Off the path of requests
    /// that a handler answers.
    static response shown(const router& routes, const request& asked, response own) noexcept;
    void show(const router& routes, const request& asked) noexcept {
        if (routes.wraps_own()) reply = shown(routes, asked, std::move(reply));
    }
    /// A handler that does not decode it would take the bytes of a compressed body for the body.
    static bool comes_encoded(const route& by, const request& asked, bool has_body) {
        return has_body && !by.decodes && !asked.content_coding().empty();
    }
    void refuse_coding();
    /// Its handler has returned: what that has thrown, or has said too late, becomes an answer of ours.
    void settle(const router& routes, const request& asked, lifecycle::clock::time_point now);
    /// How an answer has ended, for metrics and access log: `forced` by the end of the drain, or with its client
    /// `gone`. What the client has brought about itself is no fault of ours: it has gone, or the deadline was the one
    /// that it set.
    void judge(answer_row& made, bool forced, bool gone) const noexcept {
        made.digit = 2;
        if (made.status != http::status::ok || forced || gone) find_fault(made, forced, gone);
    }
    void fall_back(const router& routes, const request& asked);
    /// A response that is streamed, to a client that wants its body.
    bool streams(const request& asked) const noexcept { return reply.streamed() && asked.method != http::verb::head; }
    /// What has been thrown is a 500.
    void fail() noexcept;
    /// A deadline that has passed is a 504: true. As long as nobody has told the context of it, the clock is all there
    /// is.
    bool refuse_if_late(lifecycle::clock::time_point now);
    void tell(lifecycle::cause why) noexcept {
        told = true;
        scope.cancel(why);
    }

    /// What its handler is given.
    const lifecycle::context& context() const noexcept { return serving ? given : scope.get(); }
    bool to_be_told() const noexcept { return serving && app_gives_up == lifecycle::clock::time_point::max(); }
    bool was_told() const noexcept { return serving && !to_be_told(); }
    /// A stop may end its answer after any text, and it is whole, or after any event. Of what else a source gives in
    /// pieces, and where a length is promised, the rest would be missing.
    bool can_end() const noexcept { return (reply.texts || (to != nullptr && to->events)) && !reply.length; }
    /// The drain has begun, and its route is told.
    void notify(lifecycle::clock::time_point over) noexcept {
        app_gives_up = over;
        serving->cancel(lifecycle::cause::shutdown);
    }
    /// An answer in the place of the handler's, and to a request that finds no place. Never another status than 200
    /// where events are expected.
    response instead(http::status code) const;
    response refusal() const;
    /// What has been thrown is no fault of the handler: its body has not come.
    bool is_excused() const noexcept { return incoming && incoming->has_failed(); }
    /// ... and it has left it to us to say so.
    void excuse();
    void begin_serving();
    void end_serving() noexcept;

    const route* to = nullptr;  ///< nullptr: no route
    lifecycle::cancel_scope scope;
    std::unique_ptr<lifecycle::cancel_scope> serving;  ///< of a route that is told of the drain, until then
    std::unique_ptr<request_body> incoming;            ///< of a route that takes it as it arrives
    lifecycle::context given;                          ///< ... with which its handler may wait for that
    lifecycle::clock::time_point app_gives_up = lifecycle::clock::time_point::max();
    lifecycle::clock::time_point deadline{};
    response reply;
    std::exception_ptr thrown;                     ///< by the handler, or by the source of its answer
    std::size_t piece = 0;                         ///< bytes of `reply.body` that its source has filled
    std::size_t largest_piece = response::window;  ///< that its source is asked for
    std::array<char, 16> id;                       ///< made here
    const socket_address* caller = nullptr;        ///< who asks while no field says another; nullptr: the peer
    std::string_view scheme = "http";              ///< ... and how
    forwarded from;                                ///< only when it `is_forwarded`
    rule refused_by = rule::none;                  ///< `reply` is no handler's
    bool is_forwarded = false;                     ///< ... by a trusted peer
    bool hurried = false;                          ///< its deadline is one that the client has set
    bool told = false;                             ///< its context has been ended
    bool left = false;                             ///< ... since its client has gone
    bool abandoned = false;                        ///< answered in the place of a handler that has not returned

private:
    void find_fault(answer_row& made, bool forced, bool gone) const noexcept;
};

/// Of what is thrown.
std::string what_was_thrown(const std::exception_ptr& thrown);

}  // namespace server
