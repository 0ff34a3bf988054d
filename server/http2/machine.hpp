#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/http2/allowance.hpp"
#include "server/http2/depot.hpp"
#include "server/http2/drain.hpp"
#include "server/http2/framer.hpp"
#include "server/http2/stream.hpp"
#include "server/http2/stream_ids.hpp"
#include "server/http2/tunnel.hpp"
#include "server/session.hpp"

namespace server::http2 {

/// What a machine has done for it: its driver does that for its connection. All are about one request.
class duties {
public:
    /// True: what has been asked has returned. Else machine::returned is called when it has.
    virtual bool ask(asked what, stream& of) = 0;
    /// Its handler has returned.
    virtual void left(stream& of, const moment& at) = 0;
    virtual void note(stream& of, const answer_row& row) = 0;
    virtual void answered(stream& of, http::status status) = 0;
    virtual void log_failure(stream& of, const std::exception_ptr& thrown) = 0;
    virtual void straggles(stream& of) = 0;
    virtual void returned_late(stream& of) = 0;
    /// What its route makes of it, with `through` for a socket.
    virtual std::unique_ptr<server::session> becomes(stream& of, tunnel& through) = 0;
    /// A handler has returned while the machine was told of nothing else: it is to be driven.
    virtual void proceed() noexcept = 0;
    virtual moment now() = 0;

protected:
    ~duties() = default;
};

/// One HTTP/2 connection without its socket, clock, thread and log: bytes in, bytes out, and what it has others do
/// (`duties`). nghttp2 knows the frames and HPACK; the requests, their deadlines, the limits and the stop are here.
///
///     head ─▶ body ─▶ handling ─▶ writing / streaming ─▶ done        a stream; each is decided on like a connection
///
/// A body is gathered before its handler is asked, or, on routes that take it as it arrives, after that.
///
/// Only on one thread. What throws (std::bad_alloc) is the end of the connection.
class machine final : private owner {
public:
    /// All outlive it.
    machine(host& on, duties& by, depot& from);
    ~machine();
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;

    void begin(const handover& from, const moment& at);
    /// Bytes have come. They are dropped if the connection is over.
    void receive(std::string_view bytes, const moment& at);
    /// Appends frames to `out`, until there are none or `out` is as long as `enough`.
    void fill(std::string& out, std::size_t enough, const moment& at);
    /// All that has been appended is in the socket.
    void flushed() noexcept;
    /// The client sends no more; what it is owed is still written.
    void peer_closed(const moment& at);
    /// Nothing can be written any more.
    void lost(const moment& at);

    /// Handlers that have waited for more of a body, or for its end, go on if it has come. After each event, until none
    /// is to be woken.
    void wake(const moment& at);
    bool wakes() const noexcept { return !waking_.empty(); }

    void tick(const drain_view& drain, const moment& at);
    /// It is to end when it is idle: the client is told which stream was the last.
    void go(ending_letters why, const moment& at);
    void cut(const moment& at);
    void stop_begins() noexcept;
    /// What is under way ends with it: the last of the changes.
    void end() noexcept;
    /// Nothing is being sent: memory that is only of use for sending is given up.
    void rest() noexcept { framer_.rest(); }

    /// There is nothing under way, and nothing more will be taken: the connection may be closed.
    bool over() const noexcept { return all_.empty() && (gone_ || broken_ || departure_.told_last()); }
    bool broken() const noexcept { return broken_; }
    bool idle() const noexcept { return all_.empty(); }
    bool settled() const noexcept { return settled_; }
    bool wants_to_write() const noexcept;
    /// nghttp2 takes some of the body that a stream sends.
    static std::ptrdiff_t read_body(stream& stream, std::span<std::uint8_t> into, std::uint32_t& flags) noexcept;
    bool forced() const noexcept { return forced_; }
    bool worked_during_stop() const noexcept { return worked_during_stop_; }
    std::uint32_t served() const noexcept { return served_; }
    std::uint32_t asked_now() const noexcept { return asked_; }
    ending_letters ending() const noexcept { return ending_; }
    const options& limits() const noexcept { return *limits_; }
    account_changes take_changes() noexcept { return std::exchange(changes_, {}); }
    streams& all() noexcept { return all_; }

private:
    friend struct calls;  ///< what nghttp2 calls
    friend class tunnel;

    void returned(stream& stream) noexcept override;

    // Reading.
    int begin_frame(const nghttp2_frame_hd& head);
    int begin_stream(std::int32_t id);
    void head_came(stream& stream);
    int frame_came(const nghttp2_frame& frame);
    void frame_sent(const nghttp2_frame& frame);
    void closed(stream& stream);
    bool body_came(stream& stream, std::string_view bytes);
    void request_came(stream& stream);
    bool too_many(allowance& of);
    // Bodies as they arrive.
    /// This much may be held of bodies that are not read, on any number of streams; together with what else a hundred
    /// of them need it is less than 1 MiB.
    static constexpr std::int32_t window_of_connection = 768 * 1024;
    void begin_body(stream& stream);
    void wants_body(stream& stream);
    void say_continue(stream& stream);
    bool hold(stream& stream, std::string_view bytes);
    void keep(stream& stream, std::string_view bytes);
    bool has_room(std::size_t more) const noexcept;
    void took(stream& stream, std::size_t count);
    void open_window(stream& stream, std::size_t bytes);
    void leave_body(stream& stream);
    void drop_body(stream& stream) noexcept;
    void fail_body(stream& stream, rule by) noexcept;
    void body_is_late(stream& stream);
    void wake_later(stream& stream) noexcept;
    // Streams that other sessions live on.
    void connect(stream& stream);
    void open_tunnel(stream& stream);
    void count_asked(tunnel& of) noexcept;
    void drive(stream& stream);
    void end_tunnel(stream& stream, bool whole);
    // Answering.
    void start(stream& stream);
    void ask(stream& stream);
    void log_failure(stream& stream);
    void replied(stream& stream);
    void refuse(stream& stream, rule by);
    void answer(stream& stream);
    answer_row row(const stream& stream) const;
    void submit(stream& stream, response& reply);
    void submit_grpc_status(stream& stream, http::status status);
    void ask_due();
    void ask_piece(stream& stream);
    std::size_t largest_piece() const noexcept;
    void piece_came(stream& stream);
    void reset(stream& stream, std::uint32_t code);
    void count(stream& stream, request_end how);
    void release(stream& stream) noexcept;
    // The stop.
    bool say_goodbye();
    void obey(stream& stream, decision decided);
    void abandon(stream& stream);
    void cut(stream& stream, bool by_drain);
    void end_hostile(std::uint32_t code);

    host& host_;
    duties& by_;
    depot& from_;
    framer framer_;
    stream_ids ids_;
    std::shared_ptr<const options> limits_;
    streams all_;
    waking_streams waking_;
    stream* reading_ = nullptr;  ///< whose header block is arriving
    moment at_;                  ///< of the event that is being dealt with
    admission::patience patience_;
    departure departure_;
    account_changes changes_;
    std::size_t credit_ = 0;  ///< bytes that its window is to be opened by
    std::uint32_t served_ = 0, asked_ = 0, unflushed_ = 0, alive_ = 0;
    std::uint32_t due_ = 0;  ///< streams whose source is to be asked
    allowances may_;
    ending_letters ending_;
    bool settled_ = false, broken_ = false, gone_ = false, forced_ = false, worked_during_stop_ = false,
         trusts_peer_ = false;
};

}  // namespace server::http2
