// How a connection begins, asks the handlers and sources of its requests, and ends.

#include <cassert>
#include <exception>
#include <utility>

#include "server/connection.hpp"
#include "server/loop/resources.hpp"

namespace server {

using waiting = http1_machine::waiting;

connection::connection(loop_resources& on, transport socket, arrival client) noexcept
    : connection_opening(on, std::move(socket), std::move(client)) {}

void connection::begin(const moment& at, std::unique_ptr<layer> between) {
    assert(born_ == lifecycle::clock::time_point{} && "it begins once");
    socket_.put(std::move(between));
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
    if (session_) session_->end();
    if (machine_.has_workspace()) loop_.workspaces().give_back(machine_.take_back());
    loop_.sockets().forget(*this);
    loop_.connections().left(*this, listed_as_);
}

/// True: what has been asked has returned; else it says so (`returned`).
bool connection::ask() {
    assert(!asking_ && "one handler at a time");
    auto& current = machine_.current();
    asking_ = true;
    if (machine_.waits_for() == waiting::piece)
        return loop_.handlers().ask(asked::piece, current, machine_.request(), *this);
    loop_.requests().enters(*current.to);
    // Most handlers wait for nothing: these are called here, without a coroutine (ADR 55).
    const auto* const plain = current.to->handle.as_plain();
    if (plain == nullptr) return loop_.handlers().ask(asked::handler, current, machine_.request(), *this);
    try {
        current.reply_by([&] { return (*plain)(current.context(), machine_.request()); });
    } catch (...) {
        current.thrown = std::current_exception();
        return true;
    }
    return !current.streams(machine_.request()) ||
           loop_.handlers().ask(asked::first_piece, current, machine_.request(), *this);
}

void connection::take_back(moment& at) {
    const auto& current = machine_.current();
    assert(asking_);
    asking_ = false;
    // The handler may have taken long, and a stop may have begun meanwhile.
    at = loop_.now();
    const bool of_source = machine_.waits_for() == waiting::piece;
    if (current.thrown != nullptr && (of_source || !current.is_excused())) loop_.log().failure(*this, current.thrown);
    if (machine_.waits_for() == waiting::piece) return machine_.piece_came(at);
    machine_.replied(at);
    // After `replied`, which puts another answer in its place where that comes too late.
    loop_.requests().leaves(*this, *current.to, current.reply.status, at.now);
}

/// It has found no memory, most likely: only its client and its request pay for that.
void connection::fail(const char* why) noexcept {
    if (session_) return fail_session(why);
    loop_.log().lost_connection(why);
    machine_.fail();
    if (asking_) machine_.cut();  // it is waited for
    loop_.sockets().forget(*this);
    socket_.close();
    driven_ = false;
    if (!asking_) return loop_connections::remove(*this);
    if (machine_.current().incoming) machine_.current().incoming->go_on();  // the last thing: it may be no more
}

void connection::end(bool reset) noexcept {
    if (reset) socket_.reset_at_close(true);
    loop_.sockets().forget(*this);
    socket_.close();
    loop_.access().ended(*this);
    loop_connections::remove(*this);
}

}  // namespace server
