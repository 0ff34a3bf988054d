#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "server/http2/depot.hpp"
#include "server/http2/drain.hpp"
#include "server/http2/duties.hpp"
#include "server/http2/framer.hpp"
#include "server/http2/stream.hpp"

namespace server::http2 {

/// What a machine is made of and can say of itself; what it does is in the layers above: receiving, sending,
/// tunnelling, answering, leaving, writing, reading, machine. Each calls those below it.
class state {
public:
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    /// There is nothing under way, and nothing more will be taken: the connection may be closed.
    bool over() const noexcept { return all_.empty() && (gone_ || broken_ || departure_.told_last()); }
    bool broken() const noexcept { return broken_; }
    bool idle() const noexcept { return all_.empty(); }
    /// All that its client has still to take is the end of streams that were told of the drain, and resets.
    bool only_unread() const noexcept;
    bool settled() const noexcept { return settled_; }
    bool forced() const noexcept { return forced_; }
    bool worked_during_stop() const noexcept { return worked_during_stop_; }
    std::uint32_t served() const noexcept { return served_; }
    std::uint32_t asked_now() const noexcept { return asked_; }
    ending_letters ending() const noexcept { return forced_ ? ending_letters{'K', ending_.when} : ending_; }
    const options& limits() const noexcept { return *limits_; }
    account_changes take_changes() noexcept { return std::exchange(changes_, {}); }
    streams& all() noexcept { return all_; }
    /// Nothing is being sent: memory that is only of use for sending is given up.
    void rest() noexcept { framer_.rest(); }

protected:
    /// All outlive it. nghttp2 makes `calls` with a pointer to the state.
    state(host& on, duties& by, depot& from, const nghttp2_session_callbacks* calls)
        : host_(on), by_(by), from_(from), framer_(from.blocks, calls, this) {}
    ~state() = default;

    /// How the request has ended, for the account; the first that is said counts.
    void count(stream& stream, request_end how) noexcept {
        if (std::exchange(stream.outcome.counted, true)) return;
        switch (how) {
            case request_end::finished: ++unflushed_; break;
            case request_end::cut: ++changes_.cut; break;
            case request_end::gone: ++changes_.gone; break;
        }
    }
    void reset(const stream& stream, std::uint32_t code) {
        if (stream.id != 0) framer_.reset(stream.id, code);
    }
    /// Of a streamed answer. So that many streams that are not read hold no more than a few that are. Whole frames,
    /// where it is more than one.
    std::size_t largest_piece() const noexcept;
    /// By the least rate, in this long.
    std::uint64_t least_bytes(lifecycle::clock::duration over) const noexcept;

    /// Of a frame of DATA, at most. With its head it is as long as the longest record of TLS (RFC 8446 section 5.1),
    /// and what is written at a time is whole records: else each is followed by one of a few bytes, with a send(2) of
    /// its own.
    static constexpr std::size_t longest_data = 16 * 1024 - 9;

    host& host_;
    duties& by_;
    depot& from_;
    framer framer_;
    std::shared_ptr<const options> limits_;
    streams all_;
    stream* reading_ = nullptr;  ///< whose header block is arriving
    moment at_;                  ///< of the event that is being dealt with
    departure departure_;
    account_changes changes_;
    std::uint32_t served_ = 0;     ///< requests
    std::uint32_t asked_ = 0;      ///< handlers and sources that have not returned
    std::uint32_t unflushed_ = 0;  ///< answers that are not wholly in the socket
    std::uint32_t told_ends_ = 0;  ///< ... of them, streams that were told of the drain and may be ended
    std::uint32_t alive_ = 0;      ///< streams, also those that the protocol has done with
    std::uint32_t due_ = 0;        ///< ... whose source is to be asked
    ending_letters ending_;
    bool settled_ = false;             ///< the client has acknowledged our settings
    bool broken_ = false;              ///< nothing can be written any more
    bool gone_ = false;                ///< nothing more will be asked
    bool forced_ = false;              ///< by the end of the drain
    bool worked_during_stop_ = false;  ///< there was something under way in it
    bool trusts_peer_ = false;         ///< it may name the clients of its requests
};

}  // namespace server::http2
