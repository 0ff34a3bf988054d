// How a connection asks the handlers and sources of its requests, and how it ends.

#include <exception>

#include "server/connection.hpp"
#include "server/loop_thread.hpp"

namespace server {

using waiting = http1_machine::waiting;

/// True: what has been asked has returned; else it says so (`returned`).
bool connection::ask() {
    auto& current = machine_.current();
    asking_ = true;
    if (machine_.waits_for() == waiting::piece)
        return loop_.handlers().ask(asked::piece, current, machine_.request(), *this);
    auto& request = machine_.request();
    request.peer = peer_;
    request.named_client = nullptr;
    request.scheme = "http";
    if (proxied_ || current.is_forwarded) [[unlikely]]
        name_client();
    loop_.enters(*current.to);
    const auto* const plain = current.to->handle.as_plain();
    if (plain == nullptr) return loop_.handlers().ask(asked::handler, current, machine_.request(), *this);
    try {
        current.reply = (*plain)(current.scope.get(), machine_.request());
    } catch (...) {
        current.thrown = std::current_exception();
        return true;
    }
    return !current.streams(machine_.request()) ||
           loop_.handlers().ask(asked::first_piece, current, machine_.request(), *this);
}

void connection::take_back(moment& at) {
    const auto& current = machine_.current();
    asking_ = false;
    at = loop_.now();
    if (current.thrown != nullptr) loop_.log_failure(*this, current.thrown);
    if (machine_.waits_for() == waiting::piece) return machine_.piece_came(at);
    machine_.replied(at);
    loop_.leaves(*this, current.reply.status, at.now);
}

/// It has found no memory, most likely: its client and its request pay for that, and nobody else.
void connection::fail(const char* why) noexcept {
    loop_.lost_connection(why);
    machine_.fail();
    if (asking_) machine_.cut();  // it is waited for
    loop_.sockets().forget(*this);
    socket_.close();
    driven_ = false;
    if (!asking_) loop_.remove(*this);
}

void connection::end(bool reset) noexcept {
    if (reset) socket_.reset_at_close(true);
    loop_.sockets().forget(*this);
    socket_.close();
    loop_.log_end(*this);
    loop_.remove(*this);
}

}  // namespace server
