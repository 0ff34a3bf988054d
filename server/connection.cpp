#include "server/connection.hpp"

#include <utility>

#include "server/loop_thread.hpp"

namespace server {

using step = http1_machine::step;
using waiting = http1_machine::waiting;

connection::connection(loop_thread& on, transport socket, const socket_address& peer) noexcept
    : loop_(on), socket_(std::move(socket)), peer_(peer), machine_(on.serving()) {}

void connection::begin(const moment& at) {
    if (loop_.serving().limits->proxy_protocol)
        proxied_ = std::make_unique<proxied>(proxied{.header = {}, .caller = peer_});
    else
        trust();
    loop_.sockets().watch(descriptor(), *this, poll_set::interest::read);
    born_ = at.now;
    machine_.begin(at);
}

connection::~connection() {
    if (born_ == lifecycle::clock::time_point{}) return;  // its loop has not taken it
    machine_.end();
    loop_.account_for(machine_.take_changes());
    if (machine_.has_workspace()) loop_.workspaces().give_back(machine_.take_back());
    loop_.sockets().forget(*this);
    loop_.left(*this, waits_);
}

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

void connection::ready() noexcept {
    const auto at = loop_.now();
    const auto see = [&] {
        switch (machine_.waits_for()) {
            case waiting::room: machine_.writable(); break;
            case waiting::bytes:
                if (read(at) == transport::outcome::ended) machine_.peer_closed();
                break;
            default: loop_.sockets().watch(descriptor(), *this, poll_set::interest::none);  // not before its turn
        }
    };
    on(see, at);
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
                if (read(at) == transport::outcome::done) break;
                if (awaits_header() && machine_.ending().who == 'T') refuse_header(rule::proxy_header_timeout, at);
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

transport::outcome connection::read(const moment& at) {
    if (proxied_) [[unlikely]] {
        const auto how = read_proxy_header(at);
        if (how != transport::outcome::done) return how;
    }
    const bool lingers = now_in() == state::lingering;
    if (!lingers && !machine_.has_workspace()) machine_.lend(loop_.workspaces().lend());
    const auto [how, count] = socket_.read(lingers ? loop_.scratch() : machine_.room());
    if (how == transport::outcome::done) machine_.received(count, at);
    return how;
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
