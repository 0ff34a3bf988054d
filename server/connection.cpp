#include "server/connection.hpp"

#include <utility>

#include "server/loop_thread.hpp"

namespace server {

using step = http1_machine::step;
using waiting = http1_machine::waiting;

template <class Event>
void connection::on(const Event& event, moment at) noexcept {
    const bool inside = std::exchange(driven_, true);  // of another event, which goes on with what comes of this one
    try {
        event();
        if (inside || !drive(at)) return;  // or it is no more
        driven_ = false;
    } catch (const std::exception& e) {
        fail(e.what());
    }
}

poll_set::rest connection::ready() noexcept {
    const auto at = loop_.now();
    auto left = poll_set::rest::unknown;
    const auto see = [&] {
        switch (machine_.waits_for()) {
            case waiting::room: machine_.writable(); break;
            case waiting::bytes: {
                const auto seen = read(at);
                left = seen.left;
                if (seen.how == transport::outcome::ended) machine_.peer_closed();
                break;
            }
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
    if (machine_.discards()) socket_.discard(loop_.scratch());
    const auto decided = decide(machine_.view(), drain, at.now);
    if (decided.what == decision::action::none) return;
    const auto unacknowledged = http1_machine::measures(decided) ? socket_.unacknowledged() : 0;
    on([&] { machine_.obey(decided, unacknowledged, at); }, at);
}

void connection::turn_came() noexcept {
    on([this] { machine_.turn_came(); }, loop_.now());
}

void connection::look_and_close(char why) noexcept {
    on([&] { machine_.make_room(why); }, loop_.now());
}

void connection::client_gone() noexcept {
    on([this] { machine_.client_gone(); }, loop_.now());
}

void connection::cut() noexcept {
    on([this] { machine_.cut(); }, loop_.now());
}

/// False: it has ended, and is no more.
bool connection::drive(moment at) {
    for (;;) {
        if (std::exchange(returned_, false)) take_back(at);
        switch (machine_.next(at)) {
            case step::wait: settle(); return true;
            case step::write: write(at); break;
            case step::call:
            case step::ask_piece:
                loop_.account_for(machine_.take_changes());
                if (ask()) take_back(at);
                break;
            case step::note:
                if (!loop_.note(machine_.row(at), *this)) ++unlogged_;
                break;
            case step::over: loop_.answered(*this, machine_.current().reply.status); break;
            case step::look: read(at); break;
            case step::look_then_finish:
                // What arrives before the look is served, what arrives after it finds a closed connection. One turn of
                // the loop in between lost requests.
                if (read(at).how == transport::outcome::done) break;
                socket_.finish();
                machine_.finished();
                break;
            case step::note_refusal: loop_.note_refusal(machine_.refusal(at), *this); break;
            case step::acknowledge: socket_.acknowledge(); break;
            case step::half_close: socket_.finish(); break;
            case step::discard: socket_.discard(loop_.scratch()); break;
            case step::measure: machine_.measured(socket_.unacknowledged(), at); break;
            case step::arm_reset: socket_.reset_at_close(true); break;
            case step::disarm_reset: socket_.reset_at_close(false); break;
            case step::rest:
                if (machine_.has_workspace()) loop_.workspaces().give_back(machine_.take_back());
                break;
            case step::step_back: loop_.let_others_go_first(*this); break;
            case step::straggled: loop_.straggles(*this); break;
            case step::close: end(false); return false;
            case step::reset: end(true); return false;
        }
    }
}

/// It waits. For bytes and for room by its socket; else by what has been asked of others, and what the socket has to
/// say is looked at when it says it.
void connection::settle() {
    const auto waits_for = machine_.waits_for();
    const bool waits = machine_.waits_for_request();
    if (waits_for == waiting::bytes) loop_.sockets().watch(descriptor(), *this, poll_set::interest::read);
    if (waits_for == waiting::room) loop_.sockets().watch(descriptor(), *this, poll_set::interest::write);
    loop_.account_for(machine_.take_changes());
    if (waits != waits_ || (waits && machine_.served() != listed_)) loop_.moved(*this, waits_, waits);
    waits_ = waits;
    listed_ = machine_.served();
    if (now_in() == state::idle && machine_.has_workspace() && loop_.workspaces().many_lent())
        loop_.workspaces().give_back(machine_.take_back());
}

connection::looked connection::read(const moment& at) {
    const bool lingers = now_in() == state::lingering;
    if (!lingers && !machine_.has_workspace()) machine_.lend(loop_.workspaces().lend());
    const auto into = lingers ? loop_.scratch() : machine_.room();
    const auto [how, count] = socket_.read(into);
    if (how == transport::outcome::done) machine_.received(count, at);
    const bool all = count < into.size() && how != transport::outcome::ended;
    return {.how = how, .left = all ? poll_set::rest::taken : poll_set::rest::unknown};
}

void connection::write(const moment& at) {
    const auto [how, count] = socket_.write(machine_.to_write());
    switch (how) {
        case transport::outcome::done: machine_.wrote(count); break;
        case transport::outcome::would_block: machine_.blocked(socket_.unacknowledged(), at); break;
        case transport::outcome::ended: machine_.lost(); break;
    }
}

}  // namespace server
