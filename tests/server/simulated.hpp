// A connection without socket, loop and clock: the real machine, carried by what server/connection.cpp does, on a wire
// that a test holds both ends of. For the explorer, for the rows of docs/shutdown.md and docs/limits.md, and for the
// fuzzer.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "server/http1/machine.hpp"

namespace simulated {

using lifecycle::clock;
using server::http1_machine;
using server::moment;
using step = http1_machine::step;
using waiting = http1_machine::waiting;

/// The kernel's part of a connection, and what the client sees of it.
struct wire {
    std::string to_server;                  ///< sent, and not read yet
    std::string to_client;                  ///< all that has been written
    std::size_t unread = 0;                 ///< of it, by the client
    std::size_t room = std::string::npos;   ///< how much may be unread
    std::size_t piece = std::string::npos;  ///< what one read or write moves at most
    bool client_finished = false;           ///< the client sends no more
    bool client_gone = false;               ///< ... and reads no more: a reset
    bool finished = false;                  ///< the server sends no more
    bool closed = false;
    bool resets = false;         ///< the close is a reset
    bool said_farewell = false;  ///< by the layer between the server and its socket, where there is one
    std::size_t unlooked = 0;    ///< bytes that had come when the server ended a wait for a request, and did not read

    void send(std::string_view bytes) { to_server += bytes; }
    bool readable() const { return !to_server.empty() || client_finished || client_gone; }
    bool writable() const { return client_gone || unread < room; }
    void client_reads() { unread = 0; }
};

/// What is kept of workspaces between connections.
inline server::workspace_pool& pool() {
    static const auto limits = std::make_shared<const server::options>();
    static server::workspace_pool made(limits);
    return made;
}

/// Routes, admission and limits, as a loop has them.
class place {
public:
    explicit place(const server::router& routes, const server::options& limits = {})
        : limits_(std::make_shared<const server::options>(limits)),
          host{.routes = routes,
               .limits = limits_,
               .places = server::admission([this](bool) { return in_flight < host.limits->max_in_flight; }, crowded_),
               .ids = server::request_ids(1),
               .date = "today"} {}
    place(const place&) = delete;
    place& operator=(const place&) = delete;

private:
    std::shared_ptr<const server::options> limits_;
    server::counter crowded_;

public:
    std::size_t in_flight = 0;
    server::host host;
};

/// What connection.cpp does with its machine; handlers return when the test says so.
class connection {
public:
    connection(place& on, clock::time_point now, server::rule without = server::rule::none, bool stopping = false)
        : on_(on), machine(on.host, without) {
        machine.begin({.now = now, .stopping = stopping});
    }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection() {
        if (asked && machine.waits_for() != waiting::piece) --on_.in_flight;
        if (machine.has_workspace()) pool().give_back(machine.take_back());
    }

    /// The socket is looked at, as the poll_set would.
    void ready(const moment& at) {
        if (over) return;
        if (machine.waits_for() == waiting::bytes && wire.readable()) {
            if (read(at) == ended) machine.peer_closed(at);
            drive(at);
        } else if (machine.waits_for() == waiting::room && wire.writable()) {
            machine.writable();
            drive(at);
        } else if (machine.waits_for() == waiting::turn) {
            machine.turn_came();
            drive(at);
        }
    }
    /// There is a layer between it and its socket, and the client has shaken hands.
    void shake_hands(const moment& at) {
        layered_ = true;
        machine.opened(at);
    }
    /// Of what its layer reads something has come, and not a byte of a request.
    void stir(const moment& at) { machine.stirred(at); }

    /// Sends and lets it be read, until nothing more comes of it.
    void send(std::string_view bytes, const moment& at) {
        wire.send(bytes);
        settle(at);
    }
    void settle(const moment& at) {
        for (int turns = 0; turns < 10'000; ++turns) {
            const auto before = wire.to_server.size() + wire.to_client.size();
            ready(at);
            if (over || (before == wire.to_server.size() + wire.to_client.size() && !machine_moves())) return;
        }
        throw std::logic_error("a connection that never waits");
    }
    server::decision tick(const server::drain_view& drain, const moment& at) {
        if (over) return {};
        if (machine.discards()) wire.to_server.clear();
        const auto decided = decide(machine.view(), drain, at.now);
        if (decided.what == server::decision::action::none) return decided;
        machine.obey(decided, wire.unread, at);
        drive(at);
        return decided;
    }
    /// The handler returns that has been asked.
    void reply(server::response with, const moment& at) {
        machine.current().reply = std::move(with);
        came_back(at);
    }
    /// ... or its source, with as many bytes.
    void give_piece(std::size_t count, const moment& at) {
        auto& current = machine.current();
        current.piece = std::min(count, current.reply.body.size());
        std::fill_n(current.reply.body.begin(), current.piece, 'x');
        came_back(at);
    }
    /// ... that it had no room for.
    void give_too_much(const moment& at) {
        machine.current().piece = machine.current().reply.body.size() + 1;
        came_back(at);
    }
    /// ... or its source of texts.
    void say(std::string text, const moment& at) {
        auto& current = machine.current();
        current.reply.body = std::move(text);
        current.piece = current.reply.body.size();
        came_back(at);
    }
    /// ... or wants more of the body of its request; what that gives is in `body`, and `reads` until then.
    void read_body(std::size_t most, const moment& at) {
        auto& from = *machine.current().incoming;
        into_.assign(most, '?');
        if (from.has_some()) {
            if (!from.has_failed()) body.append(into_.data(), from.take(into_));
            return;
        }
        reads = true;
        from.want(into_);
        machine.wants_body(at);
        drive(at);
    }
    void throw_out(const moment& at) {
        machine.current().thrown = std::make_exception_ptr(std::runtime_error("thrown"));
        came_back(at);
    }
    void client_goes(const moment& at) {
        wire.client_gone = true;
        if (!over && machine.awaits_word()) {
            machine.client_gone();
            drive(at);
        }
        ready(at);
    }
    void cut(const moment& at) {
        if (over) return;
        machine.cut();
        drive(at);
    }

    http1_machine::changes account() const { return account_; }

private:
    enum outcome { done, would_block, ended };

    bool machine_moves() const {
        return (machine.waits_for() == waiting::bytes && !wire.to_server.empty()) ||
               (machine.waits_for() == waiting::room && wire.writable()) || machine.waits_for() == waiting::turn;
    }

    void came_back(const moment& at) {
        assert(asked);
        asked = false;
        if (machine.waits_for() == waiting::piece) {
            machine.piece_came(at);
        } else {
            --on_.in_flight;
            machine.replied(at);
        }
        drive(at);
    }

    outcome read(const moment& at) {
        const bool lingers = machine.now_in() == http1_machine::state::lingering;
        if (!lingers && !machine.has_workspace()) {
            auto work = pool().lend();
            work->go_by(on_.host.limits);
            lent = work.get();
            machine.lend(std::move(work));
        }
        if (wire.client_gone) return ended;
        char scratch[512];
        const auto into = lingers ? std::span<char>(scratch) : machine.room();
        const auto count = std::min({into.size(), wire.to_server.size(), wire.piece});
        if (count == 0) return wire.client_finished ? ended : would_block;
        std::memcpy(into.data(), wire.to_server.data(), count);
        wire.to_server.erase(0, count);
        machine.received(count, at);
        return done;
    }

    void write(const moment& at) {
        const auto bytes = machine.to_write();
        if (wire.client_gone) return machine.lost();
        const auto count = std::min({bytes.size(), wire.room - std::min(wire.room, wire.unread), wire.piece});
        if (count == 0) return machine.blocked(wire.unread, at);
        wire.to_client += bytes.substr(0, count);
        wire.unread += wire.room == std::string::npos ? 0 : count;
        machine.wrote(count);
    }

    void drive(const moment& at) {
        for (int steps = 0; steps < 100'000; ++steps) {
            switch (machine.next(at)) {
                case step::wait: return add_changes();
                case step::write: write(at); break;
                case step::call:
                    asked = true;
                    ++calls;
                    ++on_.in_flight;
                    break;
                case step::ask_piece: asked = true; break;
                case step::note: note(machine.row(at)); break;
                case step::note_refusal: note(machine.refusal(at)); break;
                case step::acknowledge: break;
                case step::over: break;
                case step::look: read(at); break;
                case step::look_then_finish:
                    if (read(at) == done) break;
                    finish();
                    machine.finished();
                    break;
                case step::farewell: say_farewell(at); break;
                case step::half_close: finish(); break;
                case step::discard: wire.to_server.clear(); break;
                case step::measure: machine.measured(wire.unread, at); break;
                case step::arm_reset: wire.resets = true; break;
                case step::disarm_reset: wire.resets = false; break;
                case step::rest:
                    if (machine.has_workspace()) pool().give_back(machine.take_back());
                    break;
                case step::hand_over: throw std::logic_error("no route of it becomes anything else");
                case step::give_body:
                    reads = false;
                    body.append(into_.data(), machine.current().incoming->given());
                    break;
                case step::step_back: break;  // the next `ready` is after the others
                case step::straggled: straggled = true; break;
                case step::reset: wire.resets = true; [[fallthrough]];
                case step::close: return close();
            }
        }
        throw std::logic_error("a machine that never waits");
    }

    void note(const server::answer_row& row) {
        ++notes;
        refused += row.refused_by != server::rule::none;
    }

    void say_farewell(const moment& at) {
        if (wire.client_gone) return machine.lost();
        if (!wire.writable()) return machine.blocked(wire.unread, at);
        wire.said_farewell = true;
        machine.said_farewell();
    }
    /// As the transport does: a farewell goes before a FIN, unless there has been one.
    void finish() {
        wire.said_farewell = wire.said_farewell || layered_;
        wire.finished = true;
    }

    void add_changes() {
        const auto some = machine.take_changes();
        account_.began += some.began;
        account_.finished += some.finished;
        account_.cut += some.cut;
        account_.gone += some.gone;
        account_.told += some.told;
        account_.ended += some.ended;
        account_.ended_by_us += some.ended_by_us;
        account_.cut_stream += some.cut_stream;
    }

    void close() {
        assert(!asked);
        if (machine.waits_for_request() && !wire.client_gone) wire.unlooked = wire.to_server.size();
        over = wire.finished = wire.closed = true;
        machine.end();
        add_changes();
        if (machine.has_workspace()) pool().give_back(machine.take_back());
    }

    place& on_;
    bool layered_ = false;
    std::string into_;
    http1_machine::changes account_;

public:
    simulated::wire wire;
    http1_machine machine;
    const server::workspace* lent = nullptr;  ///< the last that its machine was given: there until that rests
    std::string body;                         ///< that its handlers have read as it came
    bool reads = false;                       ///< ... and wait for more of
    bool asked = false;                       ///< a handler or a source is, and has not returned
    bool straggled = false;
    bool over = false;
    int calls = 0, notes = 0, refused = 0;
};

}  // namespace simulated
