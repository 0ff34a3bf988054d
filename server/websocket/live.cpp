#include "server/websocket/live.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "server/websocket/handshake.hpp"

namespace server::websocket {

using lifecycle::clock;
using step = machine::step;
using waiting = machine::waiting;

/// One call of a handler that may wait: an exchange, so that it runs, is shown and ends as any handler does.
struct live::job final : asker {
    explicit job(live& of) : whose(of) {}
    void returned() noexcept override {
        auto& socket = whose;
        socket.returned_from_job();
        socket.wire_.proceed();  // the last thing
    }
    live& whose;
    exchange of;
    bool done = false;
};

live::live(wire on, hub& of) noexcept : wire_(on), hub_(of) {}

live::~live() {
    if (!place_) return;
    place_->it = nullptr;
    place_->ended = true;
}

void live::begin(handover from, const moment& at) {
    on_ = &hub_.at(wire_.serving(), wire_.context());
    counted_ = from.counted;
    seen_.state = connection_state::streaming;
    seen_.since = at.now;
    seen_.served = from.served;
    seen_.worked_during_stop = at.stopping;
    request_ = std::move(from.work);
    asked_ = from.asked;
    const auto& asked = *asked_;
    if (hub_.how.compress)
        if (const auto terms = choose(joined(asked, "Sec-WebSocket-Extensions"))) window_ = terms->window_bits;
    if (const auto spoken = choose_protocol(asked, hub_.how.protocols); !spoken.empty())
        protocol_ =
            static_cast<std::uint8_t>(std::ranges::find(hub_.how.protocols, spoken) - hub_.how.protocols.begin());
    machine_ = std::make_unique<machine>(on_->limits(), window_ != 0 ? &on_->zlib : nullptr, at.now);
    on_->open.push_back(*this);
    on_->opened.add();
    on_->open_now.add();
    // The bytes are in the workspace, which stays until the machine has looked at them or kept them.
    auto* const bytes = const_cast<char*>(from.bytes.data());
    if (!from.bytes.empty()) machine_->received({bytes, from.bytes.size()});
}

// ── the socket ──────────────────────────────────────────────────────────────────────────────────

machine& live::awake() {
    if (!machine_) machine_ = std::make_unique<machine>(on_->limits(), window_ != 0 ? &on_->zlib : nullptr, resting_);
    return *machine_;
}

/// It has nothing to do.
void live::rest() noexcept {
    if (!machine_->is_quiet() || job_ || asked_ != nullptr) return;
    resting_ = machine_->rest();
    machine_ = nullptr;
}

poll_set::rest live::ready(const moment& at) {
    awake();
    switch (machine_->waits_for()) {
        case waiting::room: machine_->writable(); break;
        case waiting::bytes: return read(at) ? poll_set::rest::unknown : poll_set::rest::taken;
        case waiting::handler: wire_.watch(poll_set::interest::none); break;
    }
    return poll_set::rest::unknown;
}

/// True: there may be more.
bool live::read(const moment&) {
    const auto into = wire_.scratch();
    const auto [how, count] = wire_.read(into);
    if (how == transfer_end::done) machine_->received(into.first(count));
    if (how == transfer_end::ended) machine_->peer_closed();
    return how == transfer_end::ended || wire_.secure() || count == into.size();
}

/// Into memory of its own: it may be in the turn of another, who reads by the loop's.
void live::look(std::string& into) {
    constexpr std::size_t most = 16 * 1024;
    into.resize(most);
    const auto [how, count] = wire_.read(into);
    if (how == transfer_end::done) machine_->received(std::span(into).first(count));
    if (how == transfer_end::ended) machine_->peer_closed();
}

void live::write(const moment& at) {
    const auto [how, count] = wire_.write(machine_->to_write());
    switch (how) {
        case transfer_end::done: machine_->wrote(count); break;
        case transfer_end::would_block: machine_->blocked(wire_.unacknowledged(), at.now); break;
        case transfer_end::ended: machine_->lost(); break;
    }
    note_room();
}

void live::note_room() noexcept {
    if (place_) place_->backlog.store(machine_->backlog(), std::memory_order_relaxed);
    if (room_ && (machine_->backlog() <= hub_.how.max_backlog / 2 || machine_->now_in() != machine::state::open))
        room_->cancel(lifecycle::cause::cancelled);
}

void live::watch() {
    using interest = poll_set::interest;
    switch (machine_->waits_for()) {
        case waiting::bytes: wire_.watch(interest::read); break;
        case waiting::room: wire_.watch(interest::write); break;
        case waiting::handler: wire_.watch(interest::none); break;
    }
    seen_.awaits_word = machine_->waits_for() == waiting::handler && machine_->now_in() != machine::state::over;
}

auto live::proceed(const moment& at) -> next {
    if (!machine_) return next::wait;  // it rests
    std::string looked;                // at, before a Close of a stop
    for (;;) {
        if (job_ && job_->done) job_ = nullptr;
        switch (const auto what = machine_->next(at.now)) {
            case step::say_open:
            case step::deliver:
            case step::say_closed: call(what); break;
            case step::write: write(at); break;
            case step::look: look(looked); break;
            case step::half_close: wire_.finish(); break;
            case step::discard: wire_.discard(); break;
            case step::close:
            case step::reset: {
                const auto [who, when] = machine_->how() == machine::ending::cut    ? ending_letters{'K', 'D'}
                                         : machine_->how() == machine::ending::gone ? ending_letters{'C', 'D'}
                                         : told_                                    ? ending_letters{'D', '-'}
                                                                                    : ending_letters{'-', '-'};
                seen_.ending = {who, when};
                seen_.forced = machine_->how() == machine::ending::cut;
                return what == step::close ? next::close : next::reset;
            }
            case step::wait:
                tell_handler();
                note_room();
                if (machine_->waits_for() == waiting::bytes && wire_.holds()) {
                    read(at);
                    break;
                }
                if (asked_ != nullptr && !machine_->busy()) {
                    asked_ = nullptr;
                    if (request_) wire_.workspaces().give_back(std::move(request_));
                }
                watch();
                rest();
                return next::wait;
        }
    }
}

// ── its handlers ────────────────────────────────────────────────────────────────────────────────

session::focus live::about_it() const noexcept {
    return {.current = job_ ? &job_->of : &on_->shown,
            .asked = &on_->shown_request,
            .in = job_ && machine_->busy() ? connection_state::handling : connection_state::streaming,
            .since = machine_ ? machine_->since() : resting_.since,
            .deadline = clock::time_point::max()};
}

void live::call(step what) {
    const auto& does = hub_.does;
    if (what == step::deliver) on_->messages_in.add();
    const bool plain = what == step::say_open  ? !does.on_open || does.on_open.as_plain() != nullptr
                       : what == step::deliver ? !does.on_message || does.on_message.as_plain() != nullptr
                                               : !does.on_close || does.on_close.as_plain() != nullptr;
    if (plain) return call_plain(what);
    job_ = std::make_unique<job>(*this);
    auto& of = job_->of;
    of.to = what == step::say_open ? &hub_.on_open : what == step::deliver ? &hub_.on_message : &hub_.on_close;
    of.scope.renew(clock::time_point::max());
    of.serving = std::make_unique<lifecycle::cancel_scope>(of.scope.get());
    of.given = of.scope.get()
                   .with(drain_notice{.until = of.serving->get(), .app_gives_up = &of.app_gives_up})
                   .with(about{.it = this});
    ++seen_.asked;
    if (!wire_.ask(asked::handler, of, asked_ != nullptr ? *asked_ : on_->shown_request, *job_)) return;
    returned_from_job();
}

void live::returned_from_job() {
    const focused now(*this, about_it());
    const bool failed = job_->of.thrown != nullptr;
    if (failed) wire_.log_failure(job_->of.thrown);
    if (std::exchange(straggled_, false)) wire_.returned_late();
    --seen_.asked;
    job_->done = true;
    machine_->returned(failed);
}

void live::call_plain(step what) {
    const auto& for_ever = on_->for_ever;
    const auto& does = hub_.does;
    bool failed = false;
    try {
        switch (what) {
            case step::say_open:
                if (does.on_open) (*does.on_open.as_plain())(for_ever, *this, *asked_);
                break;
            case step::deliver:
                if (does.on_message) (*does.on_message.as_plain())(for_ever, *this, machine_->current());
                break;
            default:
                if (does.on_close) (*does.on_close.as_plain())(for_ever, *this, machine_->end());
                break;
        }
    } catch (...) {
        failed = true;
        const focused now(*this, about_it());
        wire_.log_failure(std::current_exception());
    }
    machine_->returned(failed);
}

/// Its context ends when its client is gone, and when the app gives up.
void live::tell_handler() noexcept {
    if (!job_ || job_->done || machine_->cancels() == lifecycle::cause::none || job_->of.told) return;
    job_->of.tell(machine_->cancels());
}

void live::client_gone(const moment&) { awake().lost(); }

void live::cut(const moment&) {
    awake().cut();
    tell_handler();
}

void live::tick(const drain_view& drain, const moment& at) {
    if (!machine_ && !drain.draining && at.now < resting_.next_ping) return;
    awake().tick(drain, at.now, machine_->is_blocked() ? wire_.unacknowledged() : 0);
    if (drain.draining && job_ && !job_->done && job_->of.to_be_told()) job_->of.notify(drain.over);
    if (machine_->how() == machine::ending::cut && job_ && !job_->done && !std::exchange(straggled_, true)) {
        const focused now(*this, about_it());
        wire_.straggles();
    }
    if (machine_->told() && !std::exchange(told_, true) && counted_) wire_.account_for({.told = 1});
}

void live::end() noexcept {
    unlink();
    const auto how = machine_ ? machine_->how() : machine::ending::none;
    if (on_ != nullptr) {
        on_->open_now.subtract();
        on_->closed[static_cast<std::size_t>(how)].add();
        on_->messages_out.add(machine_ ? machine_->messages_out() : resting_.messages_out);
    }
    if (request_) wire_.workspaces().give_back(std::move(request_));
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

void live::each(visitor& who) {
    const focused now(*this, about_it());
    who.visit();
}

// ── what its handlers may do ────────────────────────────────────────────────────────────────────

sent live::send(opcode kind, std::string_view payload) {
    auto how = sent::closed;
    awake();
    if (window_ != 0 && payload.size() >= hub_.how.compress_from) {
        on_->squeezed.clear();
        on_->zlib.deflate(payload, window_, on_->squeezed);
        how = on_->squeezed.size() < payload.size() ? machine_->send_compressed(kind, on_->squeezed)
                                                    : machine_->send(kind, payload);
    } else {
        how = machine_->send(kind, payload);
    }
    wire_.proceed();  // in a handler of its own that has not waited: it is seen to after that
    return how;
}

bool live::send_frame(const shared_frame& frame) {
    const bool queued = awake().send(frame) == sent::queued;
    wire_.proceed();
    return queued;
}

void live::close(std::uint16_t code, std::string_view reason) {
    awake().close_with(code, reason);
    wire_.proceed();
}

lifecycle::awaitable<bool> live::room(lifecycle::context of) {
    while (awake().now_in() == machine::state::open && machine_->backlog() > hub_.how.max_backlog / 2) {
        if (of.done()) co_return false;
        room_ = std::make_unique<lifecycle::cancel_scope>(of);
        auto waiting = lifecycle::sleep_until(room_->get(), clock::time_point::max());
        co_await std::move(waiting);
        room_ = nullptr;
    }
    co_return awake().now_in() == machine::state::open;
}

remote live::from_anywhere() {
    if (!place_) place_ = std::make_shared<remote::place>(*on_, this);
    return remote(place_);
}

std::string_view live::subprotocol() const noexcept {
    return protocol_ < hub_.how.protocols.size() ? std::string_view(hub_.how.protocols[protocol_]) : std::string_view();
}

}  // namespace server::websocket
