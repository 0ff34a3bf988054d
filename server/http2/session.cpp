#include "server/http2/session.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace server::http2 {

namespace {

constexpr std::size_t enough = workspace::usual_output;
constexpr int most_reads = 4, most_writes = 16;  // in one turn

}  // namespace

session::session(wire on, std::shared_ptr<depot> from)
    : wire_(on), from_(std::move(from)), machine_(on.serving(), *this, *from_) {}

void session::begin(handover from, const moment& at) {
    seen_.since = at.now;
    deadline_ = from.deadline;
    wrote_at_ = at.now;
    machine_.begin(from, at);
    if (!from.work) return;
    machine_.receive(from.bytes, at);
    wire_.workspaces().give_back(std::move(from.work));
}

// ── events ──────────────────────────────────────────────────────────────────────────────────────

poll_set::rest session::ready(const moment& at) {
    const bool waits_for_room = std::exchange(blocked_, false) || out_;
    for (int reads = 0; reads < most_reads && read(at);) ++reads;
    return took_all_ && !waits_for_room ? poll_set::rest::taken : poll_set::rest::unknown;
}

/// True: there may be more.
bool session::read(const moment& at) {
    const auto into = wire_.scratch();
    const auto [how, count] = wire_.read(into, &took_all_);
    if (how == transfer_end::done) {
        if (phase_ == phase::serving) machine_.receive({into.data(), count}, at);
        if (phase_ == phase::lingering) seen_.since = at.now;
        return count == into.size() || wire_.holds();
    }
    if (how == transfer_end::ended && !std::exchange(peer_closed_, true)) machine_.peer_closed(at);
    return false;
}

void session::tick(const drain_view& drain, const moment& at) {
    if (phase_ == phase::serving) machine_.tick(drain, at);
    if (blocked_) {
        const bool late = out_ && at.now >= wrote_at_ + limits().write_timeout;  // it takes nothing
        const bool over = drain.draining && at.now >= drain.over && phase_ == phase::parting;
        // All that holds the drain is the end of streams of events, and resets that it does not read either.
        const bool unread = out_ && drain.draining && machine_.only_unread() &&
                            at.now >= std::max(drain.idle_until, wrote_at_) + longest_unread;
        if (over)
            machine_.lost(at, {'K', 'D'});
        else if (late || unread)
            machine_.lost(at, {'T', 'D'});
    }
    if (phase_ == phase::serving && !machine_.idle()) return;
    const connection_view view{.state = seen_.state,
                               .since = seen_.since,
                               .deadline = deadline_,
                               .rests = rests_,
                               .told = false,
                               .forced = false,
                               .abandoned = false};
    const auto decided = decide(view, phase_ == phase::lingering ? drain : drain_view(), at.now);
    switch (decided.what) {
        case decision::action::look_and_close: make_room('T', at); break;
        case decision::action::rest:
            machine_.rest();
            rests_ = true;
            break;
        case decision::action::hang_up_if_acknowledged:
            if (wire_.unacknowledged() > 0) break;
            [[fallthrough]];
        case decision::action::hang_up: peer_closed_ = true; break;
        default: break;
    }
}

void session::make_room(char why, const moment& at) {
    if (phase_ != phase::serving || !machine_.idle()) return;
    read(at);
    if (machine_.idle()) machine_.go({why, 'I'}, at);
}

void session::cut(const moment& at) {
    if (phase_ == phase::serving) machine_.cut(at);
    if (blocked_ || phase_ == phase::lingering) {
        machine_.lost(at, {'K', 'D'});
        peer_closed_ = true;
    }
    machine_.wake(at);  // nothing may come after this
}

// ── what comes of them ──────────────────────────────────────────────────────────────────────────

auto session::proceed(const moment& at) -> next {
    while (phase_ != phase::lingering && wire_.holds() && !peer_closed_ && read(at)) {}
    bool wrote_all = false;
    do {  // what is written may end a stream, and a woken handler may have something to write
        machine_.wake(at);
        wrote_all = phase_ == phase::lingering || write(at);
    } while (machine_.wakes());
    see(at);
    if (machine_.broken()) {
        // What has not gone out must not end like something whole.
        if (machine_.asked_now() == 0) return out_ && !out_->flushed() ? next::reset : next::close;
        wire_.watch(poll_set::interest::none);
        return next::wait;
    }
    if (phase_ == phase::serving && machine_.over()) phase_ = phase::parting;
    if (phase_ != phase::serving && wrote_all) return part(at);
    wire_.watch(!wrote_all     ? poll_set::interest::both
                : peer_closed_ ? poll_set::interest::none
                               : poll_set::interest::read);
    return next::wait;
}

/// True: all that there is.
bool session::write(const moment& at) {
    for (int writes = 0; !blocked_ && !machine_.broken(); ++writes) {
        if (!out_) {
            if (!machine_.wants_to_write()) return true;
            out_ = wire_.workspaces().lend();
        }
        if (out_->flushed()) {
            out_->out.clear();
            out_->written = 0;
            machine_.fill(out_->out, enough, at);
        }
        if (out_->out.empty()) {
            machine_.flushed();
            wire_.workspaces().give_back(std::move(out_));
            return true;
        }
        if (writes >= most_writes) return false;  // the others have their turn; the socket has room
        rests_ = false;
        const auto [how, count] = wire_.write(std::string_view(out_->out).substr(out_->written));
        switch (how) {
            case transfer_end::done:
                out_->written += count;
                wrote_at_ = at.now;
                if (out_->flushed()) machine_.flushed();
                break;
            case transfer_end::would_block: blocked_ = true; break;
            case transfer_end::ended: machine_.lost(at); break;
        }
    }
    return false;
}

/// RFC 9112 section 9.6 holds here too: a close with unread bytes would reset what has been sent.
auto session::part(const moment& at) -> next {
    if (phase_ == phase::parting) {
        switch (wire_.farewell()) {
            case transfer_end::done: break;
            case transfer_end::would_block:
                blocked_ = true;
                wire_.watch(poll_set::interest::both);
                return next::wait;
            case transfer_end::ended: return next::close;
        }
        wire_.finish();
        phase_ = phase::lingering;
        seen_.state = connection_state::lingering;
        seen_.since = at.now;
        deadline_ = at.now + limits().body_timeout;
    }
    if (peer_closed_) return next::close;
    wire_.watch(poll_set::interest::read);
    return next::wait;
}

void session::account() noexcept {
    const auto changes = machine_.take_changes();
    began_ = began_ || changes.began > 0;
    wire_.account_for(changes);
}

/// Keeps true what its loop sees.
void session::see(const moment& at) {
    account();
    const bool began = std::exchange(began_, false);
    seen_.forced = machine_.forced();
    seen_.worked_during_stop = machine_.worked_during_stop();
    seen_.served = machine_.served();
    seen_.ending = machine_.ending();
    if (phase_ == phase::lingering) return;
    const bool idle = machine_.idle() && !out_;
    const auto state = !idle                                         ? connection_state::handling
                       : machine_.served() > 0 || machine_.settled() ? connection_state::idle
                                                                     : connection_state::fresh;
    if (state == seen_.state && !(state == connection_state::idle && began)) return;
    seen_.state = state;
    seen_.since = at.now;
    if (state == connection_state::idle) deadline_ = at.now + limits().idle_timeout;
}

void session::end() noexcept {
    machine_.end();
    account();
    if (out_) wire_.workspaces().give_back(std::move(out_));
}

void session::each(visitor& by) {
    for (auto& stream : machine_.all()) {
        if (stream.through && stream.through->inside) {
            stream.through->inside->each(by);
            continue;
        }
        const focused now(*this, on(stream));
        by.visit();
    }
}

// ── for its requests ────────────────────────────────────────────────────────────────────────────

void session::introduce(stream& of) {
    auto& request = of.asked;
    request.peer = wire_.peer();
    request.client_subject = wire_.subject();
    request.scheme = wire_.direct() ? "http" : "https";
    request.named_client = wire_.caller() == wire_.peer() ? nullptr : &wire_.caller();
    if (of.current.is_forwarded) {
        if (of.current.from.client) request.named_client = &*of.current.from.client;
        if (!of.current.from.scheme.empty()) request.scheme = of.current.from.scheme;
    }
}

bool session::ask(server::asked what, stream& of) {
    const focused now(*this, on(of));
    if (what == server::asked::piece) return wire_.ask(what, of.current, of.asked, of);
    wire_.enters(*of.current.to);
    const auto* const plain = of.current.to->handle.as_plain();
    if (plain == nullptr) return wire_.ask(what, of.current, of.asked, of);
    try {
        of.current.reply_by([&] { return (*plain)(of.current.context(), of.asked); });
    } catch (...) {
        of.current.thrown = std::current_exception();
        return true;
    }
    return !of.current.streams(of.asked) || wire_.ask(server::asked::first_piece, of.current, of.asked, of);
}

void session::left(stream& of, const moment& at) {
    const focused now(*this, on(of));
    wire_.leaves(*of.current.to, of.current.reply.status, at);
}

void session::note(stream& of, const answer_row& row) {
    const focused now(*this, on(of));
    wire_.note(row);
}

void session::answered(stream& of, http::status status) {
    const focused now(*this, on(of));
    wire_.answered(status);
}

void session::log_failure(stream& of, const std::exception_ptr& thrown) {
    const focused now(*this, on(of));
    wire_.log_failure(thrown);
}

void session::straggles(stream& of) {
    const focused now(*this, on(of));
    wire_.straggles();
}

void session::returned_late(stream& of) {
    const focused now(*this, on(of));
    wire_.returned_late();
}

std::unique_ptr<server::session> session::becomes(stream& of, tunnel& through) {
    auto made = of.current.to->becomes(wire_.through(through));
    made->live_within(*this);
    account();  // it accounts for its end itself, perhaps in this turn: first it has to have begun
    return made;
}

std::unique_ptr<server::session> source::make(wire on) {
    std::shared_ptr<depot> shared;
    {
        const std::scoped_lock lock(mutex_);
        auto& kept = depots_[&on.serving()];
        if (!kept) kept = std::make_shared<depot>();
        shared = kept;
    }
    return std::make_unique<session>(on, std::move(shared));
}

}  // namespace server::http2
