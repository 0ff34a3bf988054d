#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "server/decision.hpp"
#include "server/exchange.hpp"
#include "server/workspace.hpp"

namespace server {

/// One HTTP/1.1 connection without its socket, clock, thread and log: events in, steps out. Whoever drives it asks for
/// the `next` step, does it, says what came of it, and so on until the step is to `wait`.
///
///     fresh ─bytes─▶ head ─▶ body ─▶ handling ─▶ writing / streaming ─▶ idle ─bytes─▶ head …
///       └────────────────────────────────┴───────────────┴──────────────▶ lingering ─▶ closed
///
/// It is active from the first byte of a request, not from the parsed head: what has begun is answered. What it needs
/// only while it has something to do is a workspace, lent when bytes come (`lend`), and given back when it says `rest`.
///
/// Only on one thread. A step that cannot be done (std::bad_alloc) is the end: `fail`.
class http1_machine {
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
        half_close,        ///< FIN
        discard,           ///< read and forget what has come
        rest,              ///< `take_back` the workspace
        wait,              ///< for the next event, see `waits_for`
        call,              ///< ask the handler of `current()`, then `replied`
        ask_piece,         ///< ask the source of its answer for the next piece, then `piece_came`
        write,             ///< `to_write()`, once: `wrote`, `blocked` or `lost`
        over,              ///< a request is: its answer is in the buffer, or in the socket
        step_back,         ///< let others have two turns, then `turn_came`
        close,
        reset
    };
    enum class waiting : std::uint8_t { nothing, bytes, room, handler, piece, turn };

    /// What has happened since it was asked last, for the account of requests; see request_end.
    struct changes {
        std::uint32_t began = 0, finished = 0, cut = 0, gone = 0;
        bool any() const noexcept { return (began | finished | cut | gone) != 0; }
    };

    /// `on` must outlive it, and is not looked at before `begin`. `without`: the limit that its client was accepted
    /// above, for one request that may be a probe.
    explicit http1_machine(host& on, rule without = rule::none) noexcept : host_(on) { patience_.without = without; }

    /// A client is there.
    void begin(const moment& at) noexcept;

    step next(const moment& at);

    // What comes of a step, and what comes by itself.

    void lend(std::unique_ptr<workspace> one) noexcept { work_ = std::move(one); }
    std::unique_ptr<workspace> take_back() noexcept { return std::move(work_); }
    bool has_workspace() const noexcept { return work_ != nullptr; }
    /// Where the next bytes go. Makes room; not while a handler runs.
    std::span<char> room();
    void received(std::size_t count, const moment& at);
    /// It sends no more, or is gone.
    void peer_closed() noexcept;
    void finished() noexcept;
    std::string_view to_write() const noexcept { return std::string_view(work_->out).substr(work_->written); }
    void wrote(std::size_t count);
    /// The socket is full. `unacknowledged`: see `measured`.
    void blocked(std::size_t unacknowledged, const moment& at);
    void writable() noexcept;
    void lost() noexcept;
    void measured(std::size_t unacknowledged, const moment& at);
    void replied(const moment& at);
    void piece_came(const moment& at);
    void turn_came() noexcept;
    /// What the tick has decided. `unacknowledged` is looked at where `measures` says so.
    void obey(decision decided, std::size_t unacknowledged, const moment& at);
    static bool measures(decision decided) noexcept {
        return decided.what == decision::action::cut || decided.what == decision::action::hang_up_if_acknowledged;
    }
    /// It is to make room, unless bytes have come. `why` is for its last line in the access log.
    void make_room(char why) noexcept;
    /// The client has gone while a handler works for it.
    void client_gone();
    /// Ends, whatever it does; a handler is waited for.
    void cut();
    void fail() noexcept;
    void stop_begins() noexcept { flags_.worked_during_stop = !waits_for_request(); }

    // What it is.

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
    bool worked_during_stop() const noexcept { return flags_.worked_during_stop; }
    std::uint32_t served() const noexcept { return served_; }
    ending_letters ending() const noexcept { return end_; }
    const options& limits() const noexcept { return work_ ? *work_->limits : *host_.limits; }
    /// The exchange, and its request: only while there is a workspace.
    exchange& current() noexcept { return work_->current; }
    const exchange& current() const noexcept { return work_->current; }
    server::request& request() noexcept { return work_->parser.request(); }
    const server::request& request() const noexcept { return work_->parser.request(); }
    answer_row row(const moment& at) const;
    answer_row refusal(const moment& at) const;
    changes take_changes() noexcept { return std::exchange(changes_, {}); }
    /// What is under way ends with it: the last of the changes.
    void end() noexcept;

private:
    /// What it does next when nobody has to be waited for.
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
        part,
        linger,
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
        bool failed = false;     ///< the source of its stream has
        bool looked = false;     ///< for what is behind the request that is answered
        bool counted = false;    ///< the account knows of a request that has no answer yet
        bool continued = false;  ///< 100 Continue has been sent for this request
        bool straggled = false;  ///< its handler has been named as one that does not end
        bool forced = false;
        bool worked_during_stop = false;
    };

    void enter(state next, lifecycle::clock::time_point deadline, const moment& at);
    std::optional<step> advance(const moment& at);
    void ask(step one) noexcept { asked_ |= 1U << static_cast<unsigned>(one); }
    void go(phase next) noexcept { phase_ = next; }
    void flush_then(phase next) noexcept;
    step wait_for(waiting what) noexcept;

    std::optional<step> parse(const moment& at);
    void read(const moment& at);
    void enter_reading(const moment& at);
    bool refuse_early(const moment& at);
    void refuse(rule by, ending_letters end, const moment& at);
    void begin_request(const moment& at);
    step begin_answer(const moment& at);

    step answer(const moment& at);
    void append_answer(const moment& at);
    bool more_behind() const noexcept;
    bool wants_look(const moment& at) const noexcept;
    bool closes_after(const response& reply, const moment& at);
    bool still_due(bool first);
    framing framing_of(const server::request& to, bool close, const moment& at) const;
    void count_answer() noexcept;
    static void say_when_to_return(response& reply, const moment& at);
    step finish();
    void end_request(const moment& at);
    std::optional<step> handle();
    void abandon(const moment& at);
    void linger_on(std::size_t count, const moment& at) noexcept;

    void begin_stream(const moment& at);
    void add_piece();
    std::optional<step> ask_piece(const moment& at);
    void close_stream();
    void end_stream(const moment& at);

    step part(const moment& at);
    void watch_reader(std::size_t unacknowledged, const moment& at) noexcept;
    bool reads_on(std::size_t unacknowledged, const moment& at) noexcept;
    std::uint64_t least_bytes(lifecycle::clock::duration over) const noexcept;
    bool brings_enough(lifecycle::clock::time_point now) noexcept;

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
    std::size_t due_ = 0;          ///< bytes behind its `max_requests`th request that are answered still
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
