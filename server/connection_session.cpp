// A connection that does not speak HTTP/1.1 any more: it carries what happens to its session.

#include <cassert>
#include <exception>
#include <utility>

#include "server/connection.hpp"
#include "server/loop/resources.hpp"

namespace server {

void connection::go_on() {
    if (proceed(loop_.now())) driven_ = false;  // else it does not exist any more
}

poll_set::rest connection::ready_in_session() noexcept {
    auto left = poll_set::rest::unknown;
    tell([&] { left = session_->ready(loop_.next()); });
    return left;
}

/// False: it has ended, and does not exist any more.
bool connection::proceed(const moment& at) {
    const auto what = descriptor() < 0 ? session::next::close : session_->proceed(at);
    if (what != session::next::wait) {
        if (session_->asked() > 0) return true;  // it has failed, and is waited for
        end(what == session::next::reset);
        return false;
    }
    const auto as = session_->waits_for_request() ? listing::waits
                    : session_->lasts()           ? listing::lasts
                                                  : listing::works;
    if (as != listed_as_ || (as == listing::waits && session_->served() != listed_))
        loop_.connections().moved(*this, listed_as_, as);
    listed_as_ = as;
    listed_ = session_->served();
    return true;
}

bool connection::hand_over(const moment& at) {
    const auto* const to = machine_.has_workspace() ? machine_.current().to : nullptr;
    auto left = machine_.hand_over();
    loop_.account_for(machine_.take_changes());
    assert(!session_ && "it changes over once");
    session_ = to != nullptr ? to->becomes(wire(*this)) : loop_.http2()->make(wire(*this));
    session_->begin(std::move(left), at);
    return proceed(at);
}

/// As `fail` does in HTTP/1.1: handlers that its session has called are waited for. Some return at once.
void connection::fail_session(const char* why) noexcept {
    loop_.log().lost_connection(why);
    loop_.sockets().forget(*this);
    socket_.close();
    driven_ = true;
    try {
        if (session_->asked() > 0) session_->cut(loop_.now());
    } catch (const std::exception&) {}  // its handlers come back by themselves
    driven_ = false;
    if (session_->asked() == 0) loop_connections::remove(*this);
}

// ── what a session may do ───────────────────────────────────────────────────────────────────────

transfer wire::read(std::span<char> into, bool* all) {
    if (all != nullptr) *all = false;
    if (through_ != nullptr) return through_->read(into);
    const auto* const between = of_->socket_.between();
    if (between != nullptr && between->holds()) return of_->socket_.read_held(into);
    const auto seen = of_->socket_.read(into);
    const bool drained = between == nullptr ? seen.count < into.size() : between->drained() && !between->holds();
    if (all != nullptr) *all = drained && seen.how != transfer_end::ended;
    return seen;
}

bool wire::holds() const noexcept {
    if (through_ != nullptr) return through_->holds();
    const auto* const between = of_->socket_.between();
    return between != nullptr && between->holds();
}

transfer wire::write(std::string_view bytes, bool last) {
    return through_ != nullptr ? through_->write(bytes) : of_->socket_.write(bytes, last);
}
transfer_end wire::farewell() { return of_->socket_.farewell(); }
void wire::finish() { through_ != nullptr ? through_->finish() : of_->socket_.finish(); }
void wire::discard() { through_ != nullptr ? through_->discard() : of_->socket_.discard(of_->loop_.scratch()); }
std::size_t wire::unacknowledged() {
    return through_ != nullptr ? through_->unacknowledged() : of_->socket_.unacknowledged();
}

void wire::watch(poll_set::interest wanted) {
    if (through_ != nullptr) return through_->watch(wanted);
    const auto* const between = of_->socket_.between();
    const bool wants_room = between != nullptr && between->wants_room();
    // A read would not get any further before its layer has sent what it owes: see layer::wants_room.
    if (wants_room && wanted == poll_set::interest::read) wanted = poll_set::interest::write;
    if (of_->descriptor() >= 0) of_->loop_.sockets().watch(of_->descriptor(), *of_, wanted);
}

const socket_address& wire::peer() const noexcept { return of_->peer_; }
const socket_address& wire::caller() const noexcept { return of_->caller(); }
std::string_view wire::subject() const noexcept { return of_->subject(); }
bool wire::direct() const noexcept { return through_ == nullptr && of_->socket_.between() == nullptr; }

boost::asio::io_context& wire::context() const noexcept { return of_->loop_.context(); }
moment wire::now() const { return of_->loop_.now(); }
host& wire::serving() const noexcept { return of_->loop_.serving(); }
workspace_pool& wire::workspaces() const noexcept { return of_->loop_.workspaces(); }
std::span<char> wire::scratch() const noexcept { return of_->loop_.scratch(); }

void wire::proceed() noexcept {
    if (through_ != nullptr) return through_->proceed();
    of_->tell([] {});
}

bool wire::ask(asked what, exchange& of, const request& about, asker& whose) {
    return of_->loop_.handlers().ask(what, of, about, whose);
}
void wire::enters(const route& to) { of_->loop_.requests().enters(to); }
void wire::leaves(const route& to, http::status status, const moment& at) {
    of_->loop_.requests().leaves(*of_, to, status, at.now);
}
void wire::note(const answer_row& row) {
    if (!of_->loop_.requests().note(row, *of_)) ++of_->unlogged_;
}
void wire::answered(http::status status) { of_->loop_.requests().answered(*of_, status); }
void wire::log_failure(const std::exception_ptr& thrown) noexcept { of_->loop_.log().failure(*of_, thrown); }
void wire::straggles() { of_->loop_.requests().straggles(*of_, of_->session_->in_focus().current); }
void wire::returned_late() { of_->loop_.requests().returned_late(of_->session_->in_focus().current); }
void wire::account_for(const account_changes& some) noexcept { of_->loop_.account_for(some); }

}  // namespace server
