// One HTTP/2 connection without socket, loop and clock: the real machine and a real client on both ends of a wire.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/http2/machine.hpp"
#include "server/middleware.hpp"
#include "server/workspace.hpp"
#include "tests/http2/guest.hpp"
#include "tests/http2/peer.hpp"
#include "tests/server/simulated.hpp"

namespace http2_tests {

using namespace std::chrono_literals;
using lifecycle::clock;
using server::http2::stream;
namespace http = server::http;

class scene final : private server::http2::duties {
public:
    /// `at_once`: requests that come together with the preface, to handlers that are held.
    explicit scene(const server::options& limits = {}, std::uint32_t window = 65'535, bool reads = true,
                   int at_once = 0, clock::duration first_within = {})
        : holds_handlers(at_once > 0), client(window, reads), place_(routes(), limits) {
        for (int nth = 0; nth < at_once; ++nth) client.get("/");
        server::handover from{.work = nullptr, .bytes = {}};
        if (first_within.count() > 0) from.deadline = now_ + first_within;
        machine.begin(from, at());
        settle();
    }
    ~scene() {  // everybody returns first
        machine.lost(at());
        while (!asked.empty()) reply(asked.begin()->first);
    }

    bool holds_handlers;  ///< `reply` lets them return; else they do at once, with "hello"

    /// Bytes go back and forth until there are none.
    void settle() {
        for (int turns = 0; turns < 1'000; ++turns) {
            const auto there = raw_ ? std::string() : client.take();
            if (!there.empty()) machine.receive(there, at());
            machine.wake(at());
            const auto back = pump();
            if (there.empty() && back.empty() && !machine.wakes()) return;
        }
        throw std::logic_error("a connection that never rests");
    }
    /// Of a client that does what no client does: from here on it reads nothing but GOAWAY and RST_STREAM.
    void send_raw(std::string_view bytes) {
        raw_ = true;
        send(bytes);
    }
    /// Bytes that the client has made.
    void send(std::string_view bytes) {
        machine.receive(bytes, at());
        settle();
    }
    /// A handler that has been asked returns.
    void reply(std::int32_t id, server::response with = server::response(http::status::ok, "hello")) {
        auto* const waiting = asked.extract(id).mapped();
        waiting->current.reply = std::move(with);
        came_back(*waiting);
    }
    /// ... or a source, with so many bytes.
    void give_piece(std::int32_t id, std::size_t bytes) {
        auto* const waiting = asked.extract(id).mapped();
        waiting->current.piece = std::min(bytes, waiting->current.reply.body.size());
        std::fill_n(waiting->current.reply.body.begin(), waiting->current.piece, 'x');
        came_back(*waiting);
    }
    /// Asks for a stream as a socket (RFC 8441).
    std::int32_t connect(std::string_view path = "/socket", const peer::fields& more = {{":protocol", "websocket"}}) {
        const auto id = client.ask("CONNECT", path, more, std::nullopt, true);
        settle();
        return id;
    }
    /// The head of a request whose body follows, to a route that takes it as it arrives.
    std::int32_t upload(std::string_view path = "/taken", const peer::fields& more = {}) {
        const auto id = client.ask("POST", path, more, std::nullopt, true);
        settle();
        return id;
    }
    void send_body(std::int32_t id, std::size_t bytes, bool last = false) {
        client.send_body(id, std::string(bytes, 'a'), last);
        settle();
    }
    server::request_body& body(std::int32_t id) { return *asked.at(id)->current.incoming; }
    /// A handler takes some of its body: what is there. Empty: there is nothing, and it waits; see `got`.
    std::string read(std::int32_t id, std::size_t most = 1 << 20) {
        auto& body = *asked.at(id)->current.incoming;
        auto& into = reads_[id];
        into.resize(most);
        if (body.has_some()) {
            into.resize(body.take(into));
        } else {
            body.want(into);
            body.wants();
        }
        settle();
        return body.wanted().empty() ? into : std::string();
    }
    /// What one that has waited has got; none: it waits.
    std::optional<std::string> got(std::int32_t id) {
        auto& body = *asked.at(id)->current.incoming;
        if (!body.wanted().empty()) return std::nullopt;
        return reads_[id].substr(0, body.given());
    }
    /// A handler begins a stream of events.
    void stream_events(std::int32_t id) {
        server::response made(http::status::ok, ":\n", "text/event-stream");
        made.texts = []() -> lifecycle::awaitable<std::string> { co_return std::string(); };
        reply(id, std::move(made));
    }
    /// ... whose source has that to say; nothing: it is over.
    void say(std::int32_t id, std::string text) {
        auto* const waiting = asked.extract(id).mapped();
        waiting->current.reply.body = std::move(text);
        waiting->current.piece = waiting->current.reply.body.size();
        came_back(*waiting);
    }
    void throw_out(std::int32_t id) {
        auto* const waiting = asked.extract(id).mapped();
        waiting->current.thrown = std::make_exception_ptr(std::runtime_error("thrown"));
        came_back(*waiting);
    }
    static server::response streamed(std::optional<std::uint64_t> length = std::nullopt) {
        auto made =
            server::response::stream([](std::span<char>) -> lifecycle::awaitable<std::size_t> { co_return 0; }, length);
        made.body = "first";
        return made;
    }

    void stop() {
        stopping_ = true;
        machine.stop_begins();
    }
    void drain(clock::duration idle_grace, clock::duration app_gives_up) {
        stop();
        place_.host.draining = true;
        drain_ = {.draining = true, .began = now_, .idle_until = now_ + idle_grace, .over = now_ + app_gives_up};
        tick();
    }
    void tick() {
        machine.tick(drain_, at());
        settle();
    }
    void tick_after(clock::duration passed) {
        now_ += passed;
        tick();
    }
    void pass(clock::duration time) { now_ += time; }

    server::moment at() const { return {.now = now_, .stopping = stopping_, .parting = true}; }
    server::account_changes account() {
        add(machine.take_changes());
        return account_;
    }
    std::size_t held() const { return depot_.held; }
    const peer::answer& answer(std::int32_t id) { return client.answers[id]; }

    peer client;
    std::map<std::int32_t, stream*> asked;  ///< handlers and sources that have not returned, by stream
    std::map<std::int32_t, server::request*> requests;
    int notes = 0, stragglers = 0, calls = 0, failures = 0;
    std::vector<std::size_t> written;  ///< bytes, at a time
    int guests = 0;                    ///< sessions on streams that are alive
    guest* last_guest = nullptr;       ///< of them
    std::size_t digit = 0;             ///< of the last row
    server::rule refused = server::rule::none;
    std::string letters;                   ///< of the last row
    std::vector<std::int32_t> introduced;  ///< streams whose requests say who asks

private:
    std::string pump() {
        std::string out;
        machine.fill(out, server::workspace::usual_output, at());
        machine.flushed();
        if (!out.empty()) written.push_back(out.size());
        raw_ ? client.look(out) : static_cast<void>(client.receive(out));
        return out;
    }
    void came_back(stream& stream) {
        const auto id = stream.id;
        stream.returned();
        requests.erase(id);
        settle();
    }
    void add(const server::account_changes& some) {
        account_.began += some.began;
        account_.finished += some.finished;
        account_.cut += some.cut;
        account_.gone += some.gone;
        account_.told += some.told;
        account_.ended += some.ended;
        account_.ended_by_us += some.ended_by_us;
        account_.cut_stream += some.cut_stream;
    }

    void introduce(stream& of) override { introduced.push_back(of.id); }
    bool ask(server::asked what, stream& of) override {
        ++calls;
        if (what == server::asked::handler && !holds_handlers) {
            of.current.reply = of.current.to->becomes ? server::response(http::status::switching_protocols)
                                                      : server::response(http::status::ok, "hello");
            return true;
        }
        asked[of.id] = &of;
        requests[of.id] = &of.asked;
        return false;
    }
    void left(stream&, const server::moment&) override {}
    void note(stream&, const server::answer_row& row) override {
        ++notes;
        digit = row.digit;
        refused = row.refused_by;
        letters = {row.letters.who, row.letters.when};
    }
    void answered(stream&, http::status) override {}
    void log_failure(stream&, const std::exception_ptr&) override { ++failures; }
    void straggles(stream&) override { ++stragglers; }
    void returned_late(stream&) override { --stragglers; }
    std::unique_ptr<server::session> becomes(stream&, server::http2::tunnel& through) override {
        auto made = std::make_unique<guest>(through, guests);
        last_guest = made.get();
        return made;
    }
    void proceed() noexcept override {}
    server::moment now() override { return at(); }

    static const server::router& routes() {
        static const auto made = [] {
            const auto nothing = [](const lifecycle::context&, const server::request&) { return server::response(); };
            server::router all;
            all.get("/", nothing).post("/", nothing).get("/other", nothing).events("/ticks", nothing);
            all.get("/poll", nothing).at_stop(server::at_drain::notify);
            const auto takes = [](lifecycle::context, const server::request&,
                                  server::request_body&) -> lifecycle::awaitable<server::response> {
                co_return server::response();
            };
            all.get("/socket", nothing).becomes([](server::wire) { return std::unique_ptr<server::session>(); });
            all.streamed(http::verb::post, "/taken", takes).streamed(http::verb::post, "/little", takes, 1000);
            // Of what the server itself says; the routes above are not wrapped.
            all.use(server::around(server::nothing_before, [](const server::request& asked, server::response& answer) {
                answer.set("X-Seen", asked.path);
            }));
            return all;
        }();
        return made;
    }

    clock::time_point now_{1'000'000h};
    bool stopping_ = false, raw_ = false;
    server::drain_view drain_;
    simulated::place place_;
    server::account_changes account_;
    std::map<std::int32_t, std::string> reads_;
    server::http2::depot depot_;

public:
    server::http2::machine machine{place_.host, *this, depot_};
};

}  // namespace http2_tests
