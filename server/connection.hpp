#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/intrusive/list.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "lifecycle/task_group.hpp"
#include "server/decision.hpp"
#include "server/response.hpp"
#include "server/rule.hpp"
#include "server/workspace.hpp"

namespace server {

class loop;
struct endpoint;
enum class request_end : std::uint8_t;

using stream_socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, lifecycle::executor>;

struct by_activity;
using activity_hook = boost::intrusive::list_base_hook<boost::intrusive::tag<by_activity>,
                                                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// One client, from accept to close: a coroutine on one loop, and what the loop's tick may do to it.
/// It lives on that loop for life, so nothing here is locked or atomic. Only on the loop's thread.
///
///     fresh ─bytes─▶ head ─▶ body ─▶ handling ─▶ writing / streaming ─▶ idle ─bytes─▶ head …
///       └────────────────────────────────┴───────────────┴──────────────▶ lingering ─▶ closed
///
/// It is active from the first byte of a request, not from the parsed head: what has begun is answered.
class connection final : public lifecycle::task, public activity_hook {
public:
    using state = connection_state;

    connection(loop& on, stream_socket socket, boost::asio::ip::tcp::endpoint peer);
    ~connection() override;

    /// Its life until the socket is closed, or until it rests; then on to the next rest.
    lifecycle::awaitable<> run();

    // What the loop does to it.

    /// Does what the tick has decided.
    void obey(decision decided, lifecycle::clock::time_point now);
    /// Looks once more for bytes, and closes when there are none. `why` goes to the access log.
    void look_and_close(char why);
    /// Reads and forgets what a client still sends that has been refused, while its answer waits for it to read.
    void discard_input();
    /// Sends what is due before the answer that its handler is working on.
    void flush_behind_handler();
    /// The client has gone while a handler works for it.
    void client_gone();
    /// Closes, whatever it does.
    void cut();
    void cancel() noexcept override { cut(); }
    bool rests() const noexcept override { return resting_; }

    state now_in() const noexcept { return state_; }
    bool waits_for_request() const noexcept { return state_ <= state::idle; }
    connection_view view() const noexcept {
        return {.state = state_,
                .since = since_,
                .deadline = deadline_,
                .rests = work_ == nullptr,
                .told = told_,
                .forced = forced_,
                .abandoned = abandoned_,
                .sends_on = sends_on_};
    }
    bool abandoned() const noexcept { return abandoned_; }
    bool straggled() const noexcept { return straggled_; }
    bool forced() const noexcept { return forced_; }
    bool worked_during_stop() const noexcept { return worked_during_stop_; }
    void stop_begins() noexcept { worked_during_stop_ = !waits_for_request(); }
    lifecycle::clock::time_point since() const noexcept { return since_; }
    int descriptor() { return socket_.native_handle(); }
    std::string describe() const;  ///< "GET /slow", or its state
    std::source_location waits_at() const noexcept;
    /// Of the request that it works on; empty when that is part of no trace.
    std::string_view trace_id() const noexcept;
    /// Of the same request, as it was sent; empty when it works on none.
    std::string_view target() const noexcept;
    std::string identity() const;
    const boost::asio::ip::tcp::endpoint& peer() const noexcept { return peer_; }

private:
    /// Who ended it and when, two letters in the manner of HAProxy's termination state.
    struct ending_letters {
        char who = '-';   ///< - as usual, C client, S handler failed, T our time-out, R limit, P protocol, D
                          ///< drain, K cut by the stop
        char when = '-';  ///< - done, I idle, R reading the request, H in the handler, D sending the answer
    };
    enum class interrupt : std::uint8_t { none, rest, look, expired, cut };

    struct place_in_handler;

    const options& limits() const noexcept;
    void enter(state next, lifecycle::clock::time_point deadline);
    void stop_waiting(interrupt why);
    request_parser::progress parse();
    void begin_reading();
    bool wants_bytes();
    void received(const boost::system::error_code& error, std::size_t count);
    void handle_interrupt();
    void rest();
    void fail(const char* why) noexcept;
    void enter_reading();
    bool bytes_are_there();

    lifecycle::awaitable<> step_back();
    bool begin_answer();
    void begin_request();
    bool has_place();
    bool comes_encoded(const endpoint* to, bool has_body) const;
    bool decide(const endpoint* to, bool in_time);
    void refuse_coding();
    void turn_away();
    void send_earlier_answers();
    bool streams() const noexcept;
    lifecycle::awaitable<> fetch_first_piece();
    void reply_to_failure();
    static std::string what_was_thrown();
    void refuse_late_reply();
    void handler_returned();
    void leave_handler() noexcept;
    bool refuse_early();
    void acknowledge_now();
    bool closes_after(const response& reply);
    bool more_behind();
    bool still_due(bool first);
    void refuse(rule by, ending_letters end);
    void refused_by(rule by) noexcept;
    void log_refusal(rule by, http::status code);
    framing framing_of(const request& to, bool close) const;
    void say_when_to_return(response& reply) const;
    void append_answer();
    void account(const response& reply);
    std::size_t class_of(const response& reply) const;
    bool set_the_deadline(const response& reply) const;
    void next_request();
    ending_letters letters(const response& reply) const;
    void log_end();

    lifecycle::awaitable<> stream();
    bool flush_now();
    lifecycle::awaitable<> flush();
    int unacknowledged();
    void watch_reader();
    bool reads_on();
    bool brings_enough(lifecycle::clock::time_point now);
    void count_answer() noexcept;
    void answered() noexcept;
    void straggles();
    void end_streaming(body_coding coding, bool whole);
    void reset_at_close(bool reset);
    void answer_in_place_of_handler(http::status code);
    lifecycle::awaitable<> goodbye();

    loop& loop_;
    stream_socket socket_;
    std::unique_ptr<workspace> work_;
    const endpoint* endpoint_ = nullptr;  ///< of the request that is answered now
    lifecycle::clock::time_point deadline_{};
    lifecycle::clock::time_point since_{};           ///< when it entered its state
    lifecycle::clock::time_point now_{};             ///< when it last went on, or its handler returned
    lifecycle::clock::time_point refused_at_{};      ///< its last request found no place
    lifecycle::clock::time_point favoured_until_{};  ///< ... and it has waited since
    boost::asio::ip::tcp::endpoint peer_;
    std::uint64_t sent_ = 0;       ///< bytes given to the socket
    std::uint64_t taken_ = 0;      ///< of them the client had acknowledged when the write deadline was set
    std::uint64_t received_ = 0;   ///< bytes of this body, about
    std::size_t due_ = 0;          ///< bytes behind its `max_requests`th request that are answered still
    std::uint32_t served_ = 0;     ///< requests of this connection
    std::uint32_t unlogged_ = 0;   ///< of them the access log has none of
    std::uint32_t unflushed_ = 0;  ///< answers that are not wholly in the socket
    request_end left_over_{};      ///< of those, and of what is not answered, if it ends now
    state state_ = state::fresh;
    interrupt interrupt_ = interrupt::none;
    bool fed_ = false;        ///< what it was reading for has come
    bool resting_ = false;    ///< waits without a coroutine
    bool woken_ = false;      ///< something has come while it rested, and has not been read
    bool counted_ = false;    ///< the account knows of a request that has no answer yet
    bool ending_ = false;     ///< nothing more is read
    bool linger_ = false;     ///< the client may still send: read on before the close
    bool sends_on_ = false;   ///< ... and probably does: it was refused before its request was whole
    bool broken_ = false;     ///< the socket is of no use any more
    bool late_ = false;       ///< what is not whole now is refused
    bool blocked_ = false;    ///< waits until the client has read
    bool abandoned_ = false;  ///< answered in place of a handler that has not returned
    bool straggled_ = false;  ///< its handler has been named as one that does not end
    bool told_ = false;       ///< the handler's context has been ended
    bool continued_ = false;  ///< 100 Continue has been sent for this request
    bool forced_ = false;
    bool flush_asked_ = false;
    bool worked_during_stop_ = false;
    ending_letters end_;
};

std::string_view to_string(connection::state state) noexcept;

}  // namespace server
