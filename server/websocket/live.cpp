#include "server/websocket/live.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "server/websocket/handshake.hpp"

namespace server::websocket {

using lifecycle::clock;
using step = machine::step;
using waiting = machine::waiting;

void live::begin(handover from, const moment& at) {
    counted_ = from.counted;
    seen_.state = connection_state::streaming;
    seen_.since = at.now;
    seen_.served = from.served;
    seen_.worked_during_stop = at.stopping;
    const auto& asked = *from.asked;
    const auto& how = on_.route.how;
    try {
        if (how.compress)
            if (const auto terms = choose(joined(asked, "Sec-WebSocket-Extensions"))) window_ = terms->window_bits;
        if (const auto spoken = choose_protocol(asked, how.protocols); !spoken.empty())
            protocol_ = static_cast<std::uint8_t>(std::ranges::find(how.protocols, spoken) - how.protocols.begin());
        at_work_ = activity::make(on_, window_ != 0, at.now);
    } catch (...) {
        if (from.work) wire_.workspaces().give_back(std::move(from.work));
        throw;
    }
    at_work_->in = std::move(from.work);
    at_work_->asked = from.asked;
    on_.open.push_back(*this);
    on_.opened.add();
    on_.open_now.add();
    // The bytes are in the workspace, which stays until the machine has looked at them or kept them.
    auto* const bytes = const_cast<char*>(from.bytes.data());
    if (!from.bytes.empty()) at_work_->received({bytes, from.bytes.size()});
}

// ── the socket ──────────────────────────────────────────────────────────────────────────────────

/// It has nothing to do.
void live::rest() noexcept {
    if (!at_work_->is_quiet() || at_work_->calls || at_work_->room || at_work_->asked != nullptr) return;
    resting_ = at_work_->rest();
    on_.messages_out.add(at_work_->messages_out());
    on_.spare.reset(at_work_.release());
    seen_.lasts = true;
}

poll_set::rest live::ready(const moment& at) {
    awake();
    switch (at_work_->waits_for()) {
        case waiting::room: at_work_->writable(); break;
        case waiting::bytes: return read(at) ? poll_set::rest::unknown : poll_set::rest::taken;
        case waiting::handler: wire_.watch(poll_set::interest::none); break;
    }
    return poll_set::rest::unknown;
}

/// True: there may be more.
bool live::read(const moment&) {
    const auto into = wire_.scratch();
    bool all = false;
    const auto [how, count] = wire_.read(into, &all);
    if (how == transfer_end::done) at_work_->received(into.first(count));
    if (how == transfer_end::ended) at_work_->peer_closed();
    return !all;
}

/// Into memory of its own: it may be in the turn of another, which reads into the loop's.
void live::look(std::string& into) {
    constexpr std::size_t most = 16 * 1024;
    into.resize(most);
    const auto [how, count] = wire_.read(into);
    if (how == transfer_end::done) at_work_->received(std::span(into).first(count));
    if (how == transfer_end::ended) at_work_->peer_closed();
}

void live::write(const moment& at) {
    const auto [how, count] = wire_.write(at_work_->to_write());
    switch (how) {
        case transfer_end::done: at_work_->wrote(count); break;
        case transfer_end::would_block: at_work_->blocked(wire_.unacknowledged(), at.now); break;
        case transfer_end::ended: at_work_->lost(); break;
    }
    note_room();
}

void live::note_room() noexcept {
    if (place_) place_->backlog.store(at_work_->backlog(), std::memory_order_relaxed);
    if (at_work_->room &&
        (at_work_->backlog() <= on_.route.how.max_backlog / 2 || at_work_->now_in() != machine::state::open))
        at_work_->room->cancel(lifecycle::cause::cancelled);
}

void live::watch() {
    using interest = poll_set::interest;
    const auto waits_for = at_work_->waits_for();
    switch (waits_for) {
        case waiting::bytes: wire_.watch(interest::read); break;
        case waiting::room: wire_.watch(interest::write); break;
        case waiting::handler: wire_.watch(interest::none); break;
    }
    seen_.awaits_word = waits_for == waiting::handler && at_work_->now_in() != machine::state::over;
}

auto live::proceed(const moment& at) -> next {
    if (!at_work_) return next::wait;  // it rests
    std::string looked;                // at, before a Close of a stop
    for (;;) {
        if (at_work_->calls && at_work_->calls->done) at_work_->calls = nullptr;
        switch (const auto what = at_work_->next(at.now)) {
            case step::say_open:
            case step::deliver:
            case step::say_closed: call(what); break;
            case step::write: write(at); break;
            case step::look: look(looked); break;
            case step::half_close: wire_.finish(); break;
            case step::discard: wire_.discard(); break;
            case step::close:
            case step::reset: {
                const auto [who, when] = at_work_->how() == machine::ending::cut    ? ending_letters{'K', 'D'}
                                         : at_work_->how() == machine::ending::gone ? ending_letters{'C', 'D'}
                                         : told_                                    ? ending_letters{'D', '-'}
                                                                                    : ending_letters{'-', '-'};
                seen_.ending = {who, when};
                seen_.forced = at_work_->how() == machine::ending::cut;
                return what == step::close ? next::close : next::reset;
            }
            case step::wait:
                tell_handler();
                note_room();
                if (at_work_->waits_for() == waiting::bytes && wire_.holds()) {
                    read(at);
                    break;
                }
                if (at_work_->asked != nullptr && !at_work_->busy()) {
                    at_work_->asked = nullptr;
                    if (at_work_->in) wire_.workspaces().give_back(std::move(at_work_->in));
                }
                watch();
                rest();
                return next::wait;
        }
    }
}

// ── its handlers ────────────────────────────────────────────────────────────────────────────────

session::focus live::about_it() const noexcept {
    const bool calls = at_work_ && at_work_->calls;
    return {.current = calls ? &at_work_->calls->of : &on_.shown,
            .asked = &on_.shown_request,
            .in = calls && at_work_->busy() ? connection_state::handling : connection_state::streaming,
            .since = at_work_ ? at_work_->since() : seen_.since,
            .deadline = clock::time_point::max()};
}

void live::call(step what) {
    const auto& does = on_.route.does;
    if (what == step::deliver) on_.messages_in.add();
    const bool plain = what == step::say_open  ? !does.on_open || does.on_open.as_plain() != nullptr
                       : what == step::deliver ? !does.on_message || does.on_message.as_plain() != nullptr
                                               : !does.on_close || does.on_close.as_plain() != nullptr;
    if (plain) return call_plain(what);
    at_work_->calls = std::make_unique<job>(*this);
    auto& of = at_work_->calls->of;
    of.to = what == step::say_open  ? &on_.route.on_open
            : what == step::deliver ? &on_.route.on_message
                                    : &on_.route.on_close;
    of.scope.renew(clock::time_point::max());
    of.serving = std::make_unique<lifecycle::cancel_scope>(of.scope.get());
    of.given = of.scope.get()
                   .with(drain_notice{.until = of.serving->get(), .app_gives_up = &of.app_gives_up})
                   .with(about{.it = this});
    ++seen_.asked;
    if (!wire_.ask(asked::handler, of, at_work_->asked != nullptr ? *at_work_->asked : on_.shown_request,
                   *at_work_->calls))
        return;
    returned_from_job();
}

void live::returned_from_job() {
    const focused now(*this, about_it());
    const bool failed = at_work_->calls->of.thrown != nullptr;
    if (failed) wire_.log_failure(at_work_->calls->of.thrown);
    if (std::exchange(straggled_, false)) wire_.returned_late();
    --seen_.asked;
    at_work_->calls->done = true;
    at_work_->returned(failed);
}

void live::call_plain(step what) {
    const auto& for_ever = on_.for_ever;
    const auto& does = on_.route.does;
    bool failed = false;
    try {
        switch (what) {
            case step::say_open:
                if (does.on_open) (*does.on_open.as_plain())(for_ever, *this, *at_work_->asked);
                break;
            case step::deliver:
                if (does.on_message) (*does.on_message.as_plain())(for_ever, *this, at_work_->current());
                break;
            default:
                if (does.on_close) (*does.on_close.as_plain())(for_ever, *this, at_work_->end());
                break;
        }
    } catch (...) {
        failed = true;
        const focused now(*this, about_it());
        wire_.log_failure(std::current_exception());
    }
    at_work_->returned(failed);
}

/// Its context ends when its client is gone, and when the app gives up.
void live::tell_handler() noexcept {
    if (!at_work_->calls || at_work_->calls->done || at_work_->cancels() == lifecycle::cause::none ||
        at_work_->calls->of.told)
        return;
    at_work_->calls->of.tell(at_work_->cancels());
}

void live::client_gone(const moment&) { awake().lost(); }

void live::cut(const moment&) {
    awake().cut();
    tell_handler();
}

void live::tick(const drain_view& drain, const moment& at) {
    const bool is_told = drain.draining && at.now >= told_at(seen_.since, drain);
    if (!at_work_ && !is_told && at.now < resting_.next_ping) return;
    awake().tick(drain, at.now, at_work_->is_blocked() ? wire_.unacknowledged() : 0);
    if (drain.draining && at_work_->calls && !at_work_->calls->done && at_work_->calls->of.to_be_told())
        at_work_->calls->of.notify(drain.over);
    if (at_work_->how() == machine::ending::cut && at_work_->calls && !at_work_->calls->done &&
        !std::exchange(straggled_, true)) {
        const focused now(*this, about_it());
        wire_.straggles();
    }
    if (at_work_->told() && !std::exchange(told_, true) && counted_) wire_.account_for({.told = 1});
}

void live::end() noexcept {
    const auto how = at_work_ ? at_work_->how() : machine::ending::none;
    if (is_linked()) {
        unlink();
        on_.open_now.subtract();
        on_.closed[static_cast<std::size_t>(how)].add();
    }
    if (at_work_) {
        on_.messages_out.add(at_work_->messages_out());
        if (at_work_->in) wire_.workspaces().give_back(std::move(at_work_->in));
    }
    if (!counted_) return;
    account_changes some;
    switch (how) {
        case machine::ending::none:
        case machine::ending::cut: some.cut = some.cut_stream = 1; break;
        case machine::ending::gone: some.gone = 1; break;
        case machine::ending::whole: some.finished = some.ended = 1; break;
        case machine::ending::by_us: some.finished = some.ended_by_us = 1; break;
    }
    if (!told_) some.ended = some.ended_by_us = some.cut_stream = 0;
    wire_.account_for(some);
}

void live::each(visitor& by) {
    const focused now(*this, about_it());
    by.visit();
}

}  // namespace server::websocket
