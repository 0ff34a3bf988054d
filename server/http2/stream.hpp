#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/decision.hpp"
#include "server/exchange.hpp"
#include "server/handlers.hpp"
#include "server/http2/header_block.hpp"
#include "server/http2/tunnel.hpp"

namespace server::http2 {

class answering;
class stream;

using stream_hook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using waking_hook = boost::intrusive::list_base_hook<boost::intrusive::tag<class waking>,
                                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// The body of a request: gathered, or held until the handler takes it.
struct held_body {
    std::size_t unread() const noexcept { return bytes.size() - taken; }
    std::string_view rest() const noexcept { return std::string_view(bytes).substr(taken); }
    /// More has arrived.
    void keep(std::string_view more) {
        if (taken > 0) bytes.erase(0, std::exchange(taken, 0));
        bytes += more;
    }
    /// What is held is of no interest any more.
    void drop() noexcept {
        bytes.clear();
        taken = 0;
    }
    void renew() noexcept;

    std::string bytes;
    std::size_t taken = 0;       ///< ... of those, by then
    std::size_t credit = 0;      ///< ... and its window is still to be opened by
    std::uint64_t received = 0;  ///< in all
};

/// How far an answer has got.
struct answer_progress {
    std::unique_ptr<response> instead;  ///< in the place of the handler's
    std::uint64_t sent = 0;             ///< bytes, of the promised ones
    std::uint64_t moved = 0;            ///< ... since the deadline was set
    std::size_t at = 0;                 ///< in the piece that is being sent
    std::size_t size = 0;               ///< of it
    bool begun = false;                 ///< its head has been handed to the protocol
    bool done = false;                  ///< its last byte has, too
    bool streams = false;               ///< the body has a source
    bool source_ended = false;
    bool piece_due = false;  ///< its source is to be asked
};

/// How a request ends where that is not by its handler's answer, and who knows.
struct outcome {
    bool forced = false;     ///< by the end of the drain
    bool straggled = false;  ///< its handler has been named as one that does not return
    bool cut = false;
    bool ended_by_us = false;  ///< its stream, whole
    bool counted = false;      ///< the account knows how it has ended
};

/// One request of an HTTP/2 connection and its answer: the exchange, the bytes of its request and its body, and how far
/// the answer has got. It outlives its stream in the protocol (`id` 0) while a handler or a source that has been asked
/// has not returned. Decides nothing.
class stream final : public asker, public stream_hook, public waking_hook {
public:
    stream();
    ~stream() override;
    void returned() noexcept override;

    /// For the next request; memory beyond the usual is given back.
    void renew() noexcept;
    /// A field of the header block, or after the body.
    void add_field(std::string_view name, std::string_view value, const options& limits) {
        if (refused == rule::none)
            refused = block.add(name, value, limits);
        else
            block.skip(name, value);
    }
    /// The block is whole: makes a request of it, or says which rule it breaks.
    void make_request(const options& limits);
    /// The body is whole, and what is after it.
    void end_body();

    /// An extended CONNECT.
    bool connects() const noexcept { return !asked.protocol.empty(); }
    /// What comes is being taken, and the windows are opened for that.
    bool is_taken() const noexcept { return current.incoming != nullptr || connects(); }
    /// What its client gets.
    const response& reply() const noexcept { return answer.instead ? *answer.instead : current.reply; }

    connection_view view() const noexcept;

    answering* of = nullptr;  ///< the connection
    std::int32_t id = 0;      ///< 0: the protocol has done with it
    connection_state state = connection_state::head;
    rule refused = rule::none;  ///< what has come is not a request, or has no place
    bool whole = false;         ///< the request is
    bool receives = false;      ///< its handler waits for more of the body
    lifecycle::clock::time_point since{}, deadline{};
    request asked;
    header_block block;  ///< that `asked` is made of
    held_body body;
    exchange current;
    answer_progress answer;
    std::unique_ptr<tunnel> through;  ///< what it has become
    http2::outcome outcome;
    bool asking = false;  ///< a handler or a source, which has not returned
};

using streams = boost::intrusive::list<stream, boost::intrusive::base_hook<stream_hook>,
                                       boost::intrusive::constant_time_size<false>>;
using waking_streams = boost::intrusive::list<stream, boost::intrusive::base_hook<waking_hook>,
                                              boost::intrusive::constant_time_size<false>>;

}  // namespace server::http2
