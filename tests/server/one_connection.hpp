// One simulated connection with a clock that only moves when it is told to, in the words of the tests that tell what
// becomes of it.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "tests/server/simulated.hpp"

namespace one_connection {

using namespace std::chrono_literals;
using lifecycle::clock;

inline std::string ask(std::string_view fields = {}) {
    return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}
inline std::string ask_for(std::string_view path, std::string_view version = "1.1") {
    return "GET " + std::string(path) + " HTTP/" + std::string(version) + "\r\nHost: a\r\n\r\n";
}
/// A body that its handler takes as it arrives.
inline std::string upload(std::string_view framing, std::string_view body = {}, std::string_view path = "/count") {
    return "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(framing) + "\r\n" + std::string(body);
}
inline std::string post(std::size_t announced, std::string_view body, std::string_view fields = {}) {
    return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(announced) + "\r\n" + std::string(fields) +
           "\r\n" + std::string(body);
}

/// A client whose side takes this many bytes until it reads.
struct reads {
    explicit reads(std::size_t bytes) : room(bytes) {}
    std::size_t room;
};

struct in_a_stop {};

class scene {
public:
    explicit scene(const server::options& limits = {}) : place_(routes(), limits), connection_(place_, now_) {}
    /// It was accepted above that limit.
    explicit scene(server::rule without) : place_(routes(), {}), connection_(place_, now_, without) {}
    /// Of a client that comes when the stop has begun.
    explicit scene(in_a_stop)
        : stopping_(true), place_(routes(), {}), connection_(place_, now_, server::rule::none, true) {}
    explicit scene(reads slowly, const server::options& limits = {}) : scene(limits) {
        connection_.wire.room = slowly.room;
    }

    bool holds_handlers = false;  ///< `reply` lets them return; else they do at once

    // What the client does.

    void send(std::string_view bytes, std::string body = "hello") {
        connection_.wire.send(bytes);
        settle(body);
    }
    /// It is in the socket, and nothing has looked.
    void arrives(std::string_view bytes) { connection_.wire.send(bytes); }
    void settle(const std::string& body = "hello") {
        connection_.settle(at());
        while (connection_.asked && !holds_handlers) {
            connection_.reply(server::response(server::http::status::ok, body), at());
            connection_.settle(at());
        }
    }
    void client_reads() {
        connection_.wire.client_reads();
        connection_.settle(at());
    }
    void client_finishes() {
        connection_.wire.client_finished = true;
        connection_.settle(at());
    }
    void shakes_hands() { connection_.shake_hands(at()); }
    void stirs() { connection_.stir(at()); }
    void client_goes() { connection_.client_goes(at()); }

    // What its handler does.

    void reply(server::response with = server::response(server::http::status::ok, "hello")) {
        connection_.reply(std::move(with), at());
    }
    void stream(std::optional<std::uint64_t> length = std::nullopt) {
        auto made =
            server::response::stream([](std::span<char>) -> lifecycle::awaitable<std::size_t> { co_return 0; }, length);
        made.body = "first";
        connection_.reply(std::move(made), at());
    }
    /// A stream of events; `say` is its next text, none the end.
    void stream_events() {
        server::response made(server::http::status::ok, ":\n", "text/event-stream");
        made.texts = []() -> lifecycle::awaitable<std::string> { co_return std::string(); };
        connection_.reply(std::move(made), at());
        settle();
    }
    void say(std::string text) {
        connection_.say(std::move(text), at());
        settle();
    }
    /// It takes the body as it arrives, and wants this much more.
    void reads_body(std::size_t most = 100) {
        connection_.read_body(most, at());
        settle();
    }
    /// What its machine has to keep bytes in.
    std::size_t buffer() const { return connection_.lent->capacity; }
    const server::request& request() const { return connection_.machine.request(); }
    const std::string& body() const { return connection_.body; }
    bool waits_for_body() const { return connection_.reads; }
    bool body_failed() const { return connection_.machine.current().is_excused(); }
    void piece(std::size_t bytes) { connection_.give_piece(bytes, at()); }
    void piece_beyond_its_room() { connection_.give_too_much(at()); }
    void throw_out() { connection_.throw_out(at()); }

    // Time and the stop.

    void stop() {
        stopping_ = true;
        connection_.machine.stop_begins();
    }
    void drain(clock::duration idle_grace, clock::duration app_gives_up) {
        stop();
        part();
        place_.host.draining = true;
        drain_ = {.draining = true, .began = now_, .idle_until = now_ + idle_grace, .over = now_ + app_gives_up};
    }
    /// From here on who has come in the stop and shaken hands is told too.
    void part() { parting_ = true; }
    void tick() {
        connection_.tick(drain_, at());
        settle();
    }
    void tick_after(clock::duration passed) {
        now_ += passed;
        tick();
    }

    // What is seen of it.

    bool over() const { return connection_.over; }
    bool reset() const { return connection_.over && connection_.wire.resets; }
    bool finished() const { return connection_.wire.finished; }
    bool said_farewell() const { return connection_.wire.said_farewell; }
    bool named() const { return connection_.straggled; }
    bool told() const { return connection_.machine.has_workspace() && connection_.machine.current().told; }
    bool asked() const { return connection_.asked; }
    /// Code that waits on it has been told that the drain has begun.
    bool told_of_drain() const {
        return server::until_drain(connection_.machine.current().context()).why() == lifecycle::cause::shutdown;
    }
    lifecycle::context context() const { return connection_.machine.current().context(); }
    std::size_t unread() const { return connection_.wire.to_server.size(); }
    bool rests() const { return !connection_.machine.has_workspace(); }
    int refused() const { return connection_.refused; }
    int calls() const { return connection_.calls; }
    server::connection_state state() const { return connection_.machine.now_in(); }
    const std::string& seen() const { return connection_.wire.to_client; }
    std::size_t answers() const {
        std::size_t count = 0;
        for (auto found = seen().find("HTTP/1.1 "); found != std::string::npos;
             found = seen().find("HTTP/1.1 ", found + 1))
            ++count;
        return count;
    }
    /// Of the last answer; 0 when there is none.
    int status() const {
        const auto found = seen().rfind("HTTP/1.1 ");
        return found == std::string::npos ? 0 : std::stoi(seen().substr(found + 9, 3));
    }
    bool says_close() const { return seen().find("Connection: close") != std::string::npos; }
    server::http1_machine::changes account() const { return connection_.account(); }
    simulated::place& place() { return place_; }
    server::http1_machine& machine() { return connection_.machine; }

private:
    static const server::router& routes() {
        static const auto made = [] {
            const auto nothing = [](const lifecycle::context&, const server::request&) { return server::response(); };
            server::router all;
            all.get("/", nothing).post("/", nothing).probe("/probe", nothing).events("/ticks", nothing);
            all.get("/poll", nothing).at_stop(server::at_drain::notify);
            const auto streamed = [](lifecycle::context, const server::request&,
                                     server::request_body&) -> lifecycle::awaitable<server::response> {
                co_return server::response();
            };
            all.streamed(server::http::verb::post, "/count", streamed);
            all.streamed(server::http::verb::post, "/small", streamed, 10);
            all.get("/feed", nothing).at_stop(server::at_drain::end);
            return all;
        }();
        return made;
    }
    server::moment at() const { return {.now = now_, .stopping = stopping_, .parting = parting_}; }

    clock::time_point now_{1'000'000h};  // no deadline of it has passed by the clock of this machine
    bool stopping_ = false, parting_ = false;
    server::drain_view drain_;
    simulated::place place_;
    simulated::connection connection_;
};

}  // namespace one_connection
