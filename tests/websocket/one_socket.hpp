// One WebSocket without its socket and clock: the real machine, carried by what its connection does, and a client that
// a test speaks for.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "server/websocket/machine.hpp"
#include "tests/websocket/frames.hpp"

namespace one_socket {

using namespace std::chrono_literals;
using lifecycle::clock;
using server::websocket::machine;
using server::websocket::machine_limits;
using server::websocket::opcode;
using server::websocket::sent;
using step = machine::step;

class scene {
public:
    explicit scene(const machine_limits& with = {}) : limits(with), tested(limits, nullptr, now) { drive(); }
    scene(const scene&) = delete;
    scene& operator=(const scene&) = delete;

    // What the client does.

    void send(std::string_view bytes) {
        to_server += bytes;
        settle();
    }
    /// It is in the socket, and nothing has looked.
    void arrives(std::string_view bytes) { to_server += bytes; }
    void finishes() {
        finished = true;
        settle();
    }
    void reads() {
        unread = 0;
        settle();
    }

    // Its handler, which echoes and returns at once unless it is held.

    bool holds = false, echoes = true;
    void reply(std::string_view text) {
        tested.send(opcode::text, text);
        tested.returned();
        settle();
    }
    void returns() {
        tested.returned();
        settle();
    }

    // Time and the stop.

    void drain(clock::duration idle_grace = 1s, clock::duration app_gives_up = 20s) {
        view = {.draining = true, .began = now, .idle_until = now + idle_grace, .over = now + app_gives_up};
    }
    void tick_after(clock::duration passed) {
        now += passed;
        tested.tick(view, now, unread);
        settle();
    }
    /// Ticks as a loop does, for this long.
    void live(clock::duration time, clock::duration step = 10ms) {
        for (const auto end = now + time; now < end;) tick_after(step);
    }

    // What is seen of it.

    std::vector<frames::frame> seen() const { return frames::parse(to_client); }
    /// Of the Close that the client has got; 0: none.
    unsigned close_code() const {
        for (const auto& frame : seen())
            if (frame.kind() == 8) return frame.code();
        return 0;
    }
    std::size_t count(unsigned kind) const {
        const auto all = seen();
        return static_cast<std::size_t>(
            std::count_if(all.begin(), all.end(), [&](const auto& frame) { return frame.kind() == kind; }));
    }

    machine_limits limits;
    clock::time_point now{1'000'000h};
    server::drain_view view;
    std::string to_server, to_client;
    std::size_t piece = std::string::npos, room = std::string::npos, unread = 0;
    bool finished = false, gone = false;                      ///< of the client
    bool half_closed = false, closed = false, reset = false;  ///< by the server
    std::vector<std::string> messages;
    std::optional<unsigned> told_code;  ///< its handler has been told that it is over
    int opened = 0;
    machine tested;

    void settle() {
        for (int turns = 0; turns < 100'000; ++turns) {
            drive();
            if (closed) return;
            const auto waits = tested.waits_for();
            if (waits == machine::waiting::bytes && (!to_server.empty() || finished || gone)) {
                if (!read()) tested.peer_closed();
            } else if (waits == machine::waiting::room && unread < room) {
                tested.writable();
            } else {
                return;
            }
        }
        throw std::logic_error("a WebSocket that never waits");
    }

private:
    bool read() {
        const auto count = std::min(to_server.size(), piece);
        if (count == 0) return false;
        scratch = to_server.substr(0, count);
        to_server.erase(0, count);
        tested.received(scratch);
        drive();
        scratch.assign(scratch.size(), '\xee');  // others use it
        return true;
    }
    void write() {
        const auto bytes = tested.to_write();
        if (gone) return tested.lost();
        const auto count = std::min({bytes.size(), room - std::min(room, unread), piece});
        if (count == 0) return tested.blocked(unread, now);
        to_client += bytes.substr(0, count);
        if (room != std::string::npos) unread += count;
        tested.wrote(count);
    }
    void drive() {
        for (int steps = 0; steps < 1'000'000; ++steps) {
            switch (tested.next(now)) {
                case step::wait: return;
                case step::say_open:
                    ++opened;
                    tested.returned();
                    break;
                case step::deliver:
                    messages.emplace_back(tested.current().data);
                    if (holds) break;
                    if (echoes)
                        tested.send(tested.current().text ? opcode::text : opcode::binary, tested.current().data);
                    tested.returned();
                    break;
                case step::say_closed:
                    told_code = tested.end().code;
                    tested.returned();
                    break;
                case step::write: write(); break;
                case step::look:
                    if (!to_server.empty()) look();
                    break;
                case step::half_close: half_closed = true; break;
                case step::discard: to_server.clear(); break;
                case step::reset: reset = true; [[fallthrough]];
                case step::close: closed = true; return;
            }
        }
        throw std::logic_error("a WebSocket that never waits");
    }
    void look() {
        looked = to_server.substr(0, piece);
        to_server.erase(0, looked.size());
        tested.received(looked);
    }
    std::string scratch, looked;
};

}  // namespace one_socket
