#include "server/connection.hpp"

#include <cassert>
#include <utility>

#include "server/loop/resources.hpp"

namespace server {

using step = http1_machine::step;
using waiting = http1_machine::waiting;

/// A stream of texts whose source is silent: it has no deadline, and what its client does is said by its socket. One
/// that has said something is looked at each time, see gone_clients.
static bool is_silent(const http1_machine& machine, poll_set::interest watched) noexcept {
    return machine.waits_for() == waiting::piece && watched == poll_set::interest::read &&
           machine.current().reply.texts;
}

template <class Event>
void connection::on(const Event& event, moment at) noexcept {
    const bool inside = std::exchange(driven_, true);  // of another event, which goes on with what comes of this one
    try {
        event();
        if (inside || !drive(at)) return;  // or it does not exist any more
        driven_ = false;
    } catch (const std::exception& e) {
        fail(e.what());
    }
}

/// What most events are. In line, with all that it calls here: read, drive, write, settle.
[[gnu::flatten]] poll_set::rest connection::ready() noexcept {
    if (session_) return ready_in_session();
    const auto at = loop_.next();
    auto left = poll_set::rest::unknown;
    const auto see = [&] {
        switch (machine_.waits_for()) {
            case waiting::room: machine_.writable(); break;
            case waiting::bytes: {
                if (!may_read()) break;
                const auto seen = read(at);
                left = seen.left;
                if (seen.how == transport::outcome::ended) machine_.peer_closed(at);
                break;
            }
            // It would be reported without end otherwise; see poll_set.
            default: loop_.sockets().watch(descriptor(), *this, poll_set::interest::none);  // not before its turn
        }
    };
    on(see, at);
    return left;
}

void connection::returned() noexcept {
    returned_ = true;
    if (!driven_) on([] {}, loop_.now());
}

void connection::tick(const drain_view& drain, const moment& at) noexcept {
    if (session_) return tell([&] { session_->tick(drain, at); });
    // Unread bytes would turn the close at the exit into a reset that takes the answer with it.
    if (machine_.discards()) socket_.discard(loop_.scratch());
    const auto decided = decide(machine_.view(), drain, at.now);
    if (decided.what == decision::action::none) return;
    const auto unacknowledged = http1_machine::measures(decided) ? socket_.unacknowledged() : 0;
    on([&] { machine_.obey(decided, unacknowledged, at); }, at);
}

void connection::turn_came() noexcept {
    assert(!session_ && "a session lets nobody go first");
    on([this] { machine_.turn_came(); }, loop_.now());
}

void connection::look_and_close(char why) noexcept {
    if (session_) return tell([&] { session_->make_room(why, loop_.now()); });
    on([&] { machine_.make_room(why); }, loop_.now());
}

void connection::client_gone() noexcept {
    if (session_) return tell([this] { session_->client_gone(loop_.now()); });
    on([this] { machine_.client_gone(); }, loop_.now());
}

void connection::cut() noexcept {
    if (session_) return tell([this] { session_->cut(loop_.now()); });
    on([this] { machine_.cut(); }, loop_.now());
}

/// False: it has ended, and does not exist any more.
bool connection::drive(moment at) {
    for (;;) {
        if (std::exchange(returned_, false)) take_back(at);
        switch (machine_.next(at)) {
            case step::wait:
                if (read_held(at)) break;
                settle();
                return true;
            case step::write: write(at); break;
            case step::call:
            case step::ask_piece:
                // Before the handler, which may last for long.
                loop_.account_for(machine_.take_changes());
                if (auto* const body = machine_.current().incoming.get(); body != nullptr && !body->wants) [[unlikely]]
                    body->wants = [this] { on([this] { machine_.wants_body(loop_.now()); }, loop_.now()); };
                if (ask()) take_back(at);
                break;
            case step::note:
                if (!loop_.requests().note(machine_.row(at), *this)) ++unlogged_;
                break;
            case step::over: loop_.requests().answered(*this, machine_.current().reply.status); break;
            case step::look: read(at); break;
            case step::look_then_finish:
                // What arrives before the look is served, what arrives after it finds a closed connection. One turn of
                // the loop in between lost requests.
                if (look_finds_life(at)) break;
                if (awaits_header() && machine_.ending().who == 'T') refuse_header(rule::proxy_header_timeout, at);
                socket_.finish();
                machine_.finished();
                break;
            case step::note_refusal: loop_.requests().note_refusal(machine_.refusal(at), *this); break;
            case step::acknowledge: socket_.acknowledge(); break;
            case step::farewell: say_farewell(at); break;
            case step::half_close: socket_.finish(); break;
            case step::discard: socket_.discard(loop_.scratch()); break;
            case step::measure: machine_.measured(socket_.unacknowledged(), at); break;
            case step::arm_reset: socket_.reset_at_close(true); break;
            case step::disarm_reset: socket_.reset_at_close(false); break;
            case step::rest:
                if (machine_.has_workspace()) loop_.workspaces().give_back(machine_.take_back());
                break;
            case step::give_body: machine_.current().incoming->go_on(); break;
            case step::step_back: loop_.turns().let_others_go_first(*this); break;
            case step::straggled: loop_.requests().straggles(*this, this); break;
            case step::hand_over: return hand_over(at);
            case step::close: end(false); return false;
            case step::reset: end(true); return false;
        }
    }
}

/// It waits. For bytes and for room by its socket; else by what has been asked of others, and what the socket has to
/// say is looked at when it says it.
void connection::settle() {
    const auto waits_for = machine_.waits_for();
    const auto* const between = socket_.between();
    const bool wants_room = waits_for == waiting::room || (between != nullptr && between->wants_room());
    if (waits_for == waiting::bytes && !wants_room)
        loop_.sockets().watch(descriptor(), *this, poll_set::interest::read);
    if (wants_room) loop_.sockets().watch(descriptor(), *this, poll_set::interest::write);
    loop_.account_for(machine_.take_changes());
    const auto as = machine_.waits_for_request()   ? listing::waits
                    : is_silent(machine_, wants()) ? listing::silent
                                                   : listing::works;
    if (as != listed_as_ || (as == listing::waits && machine_.served() != listed_))
        loop_.connections().moved(*this, listed_as_, as);
    listed_as_ = as;
    listed_ = machine_.served();
    if (now_in() == state::idle && machine_.has_workspace())
        machine_.lend(loop_.workspaces().take_when_idle(machine_.take_back()));
}

connection::looked connection::read(const moment& at, bool held) {
    if (proxied_ && !held) [[unlikely]] {
        const auto how = read_proxy_header(at);
        if (how != transport::outcome::done) return {.how = how, .left = poll_set::rest::unknown};
    }
    const bool lingers = now_in() == state::lingering;
    const auto* const between = socket_.between();
    if (between != nullptr && between->shakes()) {
        if (const auto how = shake(at); how != transport::outcome::done)
            return {.how = how, .left = poll_set::rest::unknown};
        held = true;  // what has come with the end of the handshake; for the rest the socket calls
    }
    // What comes while it lingers is dropped, and wants no workspace.
    if (!lingers && !machine_.has_workspace()) lend(loop_.workspaces().lend());
    const auto into = lingers ? loop_.scratch() : machine_.room();
    const auto [how, count] = held ? socket_.read_held(into) : socket_.read(into);
    if (how == transport::outcome::done) machine_.received(count, at);
    if (stirs()) machine_.stirred(at);
    const bool drained = between == nullptr ? count < into.size() : between->drained();
    const bool all = !held && drained && how != transport::outcome::ended;
    return {.how = how, .left = all ? poll_set::rest::taken : poll_set::rest::unknown};
}

/// What its layer has taken from the socket is not in the socket any more, so the poll set would not report it.
bool connection::read_held(const moment& at) {
    const auto* const between = socket_.between();
    if (between == nullptr || !between->holds() || machine_.waits_for() != waiting::bytes) return false;
    const auto how = read(at, true).how;
    if (how == transport::outcome::ended) machine_.peer_closed(at);
    return how != transport::outcome::would_block;
}

/// A request, part of one, or the end of a handshake, which the first request comes with.
bool connection::look_finds_life(const moment& at) {
    const auto* const between = socket_.between();
    const bool shook = between != nullptr && between->shakes();
    read(at);
    return machine_.waits_for() != waiting::bytes || stirs() || (shook && !between->shakes());
}

void connection::say_farewell(const moment& at) {
    switch (socket_.farewell()) {
        case transport::outcome::done: machine_.said_farewell(); break;
        case transport::outcome::would_block: machine_.blocked(socket_.unacknowledged(), at); break;
        case transport::outcome::ended: machine_.lost(); break;
    }
}

void connection::write(const moment& at) {
    const auto [how, count] = socket_.write(machine_.to_write(), machine_.writes_last());
    switch (how) {
        case transport::outcome::done: machine_.wrote(count); break;
        case transport::outcome::would_block: machine_.blocked(socket_.unacknowledged(), at); break;
        case transport::outcome::ended: machine_.lost(); break;
    }
}

}  // namespace server
