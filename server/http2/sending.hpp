#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "server/http2/receiving.hpp"

namespace server::http2 {

/// Answers as nghttp2 gets them: heads, bodies, the pieces of those that have a source, and resets; and what metrics
/// and access log say of them.
class sending : public receiving {
public:
    using receiving::receiving;

    /// nghttp2 takes some of a body, as the windows allow. What is returned is for nghttp2.
    std::ptrdiff_t give(stream& stream, std::span<std::uint8_t> into, std::uint32_t& flags) noexcept;

protected:
    /// The head of `reply`, whose body follows by `give`.
    void submit(stream& stream, response& reply);
    answer_row row(const stream& stream) const;
    /// Asks the handler of a stream, or its source. False: `returned` is called when it has an answer. Passes on what
    /// `duties::ask` throws.
    bool has_answered(asked what, stream& of);
    /// Asks the sources of streams whose piece has been sent for the next.
    void ask_due();
    void piece_came(stream& stream);
    void end_source(stream& stream);
    void cut_stream(stream& stream, bool by_drain);
    /// The stream is over, and no handler works for it.
    void release(stream& stream) noexcept;

private:
    void submit_grpc_status(stream& stream, http::status status);
    bool give_trailers(const stream& stream, std::uint32_t& flags) noexcept;
    void ask_piece(stream& stream);
};

}  // namespace server::http2
