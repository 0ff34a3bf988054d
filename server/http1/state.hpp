#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "server/decision.hpp"
#include "server/exchange.hpp"
#include "server/workspace.hpp"

namespace server {

/// Where a connection may go from each of its states, in their order: a bit each.
inline constexpr std::array<unsigned, connection_states> ways_from = [] {
    using enum connection_state;
    const auto bits = [](auto... states) { return ((1U << static_cast<unsigned>(states)) | ...); };
    const auto begun = bits(head, body, handling, writing, lingering);
    return std::array{begun,                          // fresh
                      begun,                          // idle
                      begun | bits(idle),             // head: what came was an empty line
                      begun & ~bits(head, body),      // body
                      begun | bits(idle, streaming),  // handling
                      begun | bits(idle),             // writing
                      bits(writing),                  // streaming
                      0U};                            // lingering
}();

/// What an http1_machine is made of and can say of itself; what it does is in the layers above: http1_sending,
/// http1_answering, http1_reading, http1_machine. A layer calls those below it, and what is above it asks for by a
/// phase.
class http1_state {
public:
    using state = connection_state;

    enum class step : std::uint8_t {
        straggled,         ///< its handler does not end with its context: to be named
        measure,           ///< how much has the client not acknowledged? `measured`
        arm_reset,         ///< from here on a close is a reset, also by the end of the process
        disarm_reset,      ///< ... no more
        look,              ///< read once, without waiting: `received`, or nothing
        look_then_finish,  ///< the same; when nothing has come, FIN at once, with nothing in between: `finished`
        acknowledge,       ///< what has come, at once: the client waits for that with the rest
        note_refusal,      ///< an answer to what is no request stands: `refusal()`
        note,              ///< an answer stands: `row()`
        farewell,          ///< the farewell of the layer between it and the socket: `said_farewell`, `blocked`, `lost`
        half_close,        ///< FIN
        discard,           ///< read and forget what has come
        rest,              ///< `take_back` the workspace
        give_body,         ///< its handler goes on with what it has waited for: `current().incoming->go_on`
        wait,              ///< for the next event, see `waits_for`
        call,              ///< ask the handler of `current()`, then `replied`
        ask_piece,         ///< ask the source of its answer for the next piece, then `piece_came`
        write,             ///< `to_write()`, once: `wrote`, `blocked` or `lost`
        over,              ///< a request is: its answer is in the buffer, or in the socket
        step_back,         ///< let others have two turns, then `turn_came`
        hand_over,         ///< it goes on in another protocol: `hand_over`
        close,
        reset
    };
    enum class waiting : std::uint8_t { nothing, bytes, room, handler, piece, turn };

    using changes = account_changes;

    explicit http1_state(host& on) noexcept : host_(on) {}

    void lend(std::unique_ptr<workspace> workspace) noexcept { work_ = std::move(workspace); }
    std::unique_ptr<workspace> take_back() noexcept { return std::move(work_); }
    bool has_workspace() const noexcept { return work_ != nullptr; }
    std::string_view to_write() const noexcept { return std::string_view(work_->out).substr(work_->written); }
    changes take_changes() noexcept { return std::exchange(changes_, {}); }

    state now_in() const noexcept { return state_; }
    waiting waits_for() const noexcept { return waits_; }
    bool waits_for_request() const noexcept { return state_ <= state::idle; }
    /// Its answer waits for the client to read, and that may be waiting to send what has been refused.
    bool discards() const noexcept { return flags_.linger && flags_.blocked; }
    connection_view view() const noexcept;
    lifecycle::clock::time_point since() const noexcept { return since_; }
    bool abandoned() const noexcept { return work_ && work_->current.abandoned; }
    bool forced() const noexcept { return flags_.forced; }
    bool straggled() const noexcept { return flags_.straggled; }
    /// Its handler works, or is to say more of a stream now and then: what its client does is to be looked at.
    bool awaits_word() const noexcept {
        return state_ == state::handling ? !abandoned() : waits_ == waiting::piece && work_->current.serving;
    }
    bool worked_during_stop() const noexcept { return flags_.worked_during_stop; }
    std::uint32_t served() const noexcept { return served_; }
    ending_letters ending() const noexcept { return end_; }
    const options& limits() const noexcept { return work_ ? *work_->limits : *host_.limits; }
    /// The exchange, and its request: only while there is a workspace.
    exchange& current() noexcept { return work_->current; }
    const exchange& current() const noexcept { return work_->current; }
    server::request& request() noexcept { return work_->parser.request(); }
    const server::request& request() const noexcept { return work_->parser.request(); }

protected:
    /// What it does next when nothing has to be waited for.
    enum class phase : std::uint8_t {
        parse,
        flush,  ///< until all is in the socket; then `then_`
        read,
        handle,
        abandon,
        answer,
        begin_stream,
        add_piece,
        ask_piece,
        cut_stream,
        end_stream,
        finish,
        go_on,
        step_back,
        say_goodbye,
        farewell,
        part,
        linger,
        hand_over,
        end
    };
    struct flags {
        bool ending = false;     ///< nothing more is read
        bool linger = false;     ///< the client may still send: read on before the close
        bool sends_on = false;   ///< ... and probably does: it was refused before its request was whole
        bool broken = false;     ///< the socket is of no use any more
        bool late = false;       ///< what is not whole now is refused
        bool blocked = false;    ///< waits until the client has read
        bool stuck = false;      ///< what may be sent while a handler runs does not fit
        bool cut = false;        ///< its stream is
        bool ended = false;      ///< its stream is, by us
        bool told_end = false;   ///< the end of a stream that was told of the drain is on its way to the client
        bool hurries = false;    ///< ... and it is one that a stop may end: its reader has little time then
        bool failed = false;     ///< the source of its stream has
        bool looked = false;     ///< for what is after the request that is answered
        bool counted = false;    ///< the account knows of a request that has no answer yet
        bool continued = false;  ///< 100 Continue has been sent for this request
        bool straggled = false;  ///< its handler has been named as one that does not end
        bool forced = false;
        bool worked_during_stop = false;
        bool trusts_peer = false;  ///< it may name the clients of its requests
        bool shook_hands = false;  ///< there is a layer between it and the socket
        bool newcomer = false;     ///< it came when the stop had begun
        bool stirs = false;
        bool streams = false;   ///< the request that comes is one whose handler takes the body as it arrives
        bool receives = false;  ///< ... and waits for more of it
        bool unread = false;    ///< ... and has returned without the rest
    };

    void enter(state next, lifecycle::clock::time_point deadline, const moment& at) {
        assert((ways_from[static_cast<std::size_t>(state_)] >> static_cast<unsigned>(next) & 1U) != 0 &&
               "no way leads from that state to this one");
        state_ = next;
        since_ = at.now;
        deadline_ = deadline;
        flags_.stirs = false;
    }
    void ask(step step) noexcept { asked_ |= 1U << static_cast<unsigned>(step); }
    void go(phase next) noexcept { phase_ = next; }
    void flush_then(phase next) noexcept {
        then_ = next;
        go(work_ && !work_->out.empty() ? phase::flush : next);
    }
    /// By the least rate, in this long.
    std::uint64_t least_bytes(lifecycle::clock::duration over) const noexcept;
    /// Bytes of the next request have come.
    bool more_behind() const noexcept { return work_->buffered() > work_->parser.consumed() || work_->room() == 0; }

    host& host_;
    std::unique_ptr<workspace> work_;
    lifecycle::clock::time_point since_{};         ///< when it entered its state
    lifecycle::clock::time_point deadline_{};      ///< of that state
    lifecycle::clock::time_point linger_end_{};    ///< however much still comes
    lifecycle::clock::time_point counted_from_{};  ///< `received_`, of what comes while it lingers
    admission::patience patience_;
    std::uint64_t sent_ = 0;       ///< bytes given to the socket
    std::uint64_t taken_ = 0;      ///< of them the client had acknowledged when the write deadline was set
    std::uint64_t received_ = 0;   ///< bytes of this body, about
    std::size_t due_ = 0;          ///< bytes after its `max_requests`th request that are answered still
    std::uint32_t served_ = 0;     ///< requests of this connection
    std::uint32_t unflushed_ = 0;  ///< answers that are not wholly in the socket
    std::uint32_t asked_ = 0;      ///< steps to be done first, a bit each
    changes changes_;
    state state_ = state::fresh;
    waiting waits_ = waiting::bytes;
    phase phase_ = phase::parse;
    phase then_ = phase::parse;
    request_end left_over_ = request_end::finished;  ///< of those, and of what is not answered, if it ends now
    flags flags_;
    ending_letters end_;
};

std::string_view to_string(connection_state state) noexcept;

}  // namespace server
