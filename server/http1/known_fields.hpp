#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/request.hpp"

namespace server {

/// The fields of the head that was read last, to be known again: on a kept connection most clients send the same ones
/// with each request, byte for byte, and then they need not be read (ADR 96).
///
/// It has a copy of their bytes, and the views of the request's fields point into that. So the request must not be
/// cleared of them before they are forgotten. Only on its loop's thread.
class known_fields {
public:
    /// What they have come to; see request_parser.
    struct meaning {
        std::string_view host;
        std::uint64_t length = 0;
        std::size_t request_id = 0, request_timeout = 0, traceparent = 0;
        bool keep_alive = false;
    };

    known_fields() = default;
    known_fields(const known_fields&) = delete;
    known_fields& operator=(const known_fields&) = delete;

    /// From the first byte of the first field to the empty line, and with that; empty: none are known.
    std::string_view text() const noexcept { return text_; }
    bool any() const noexcept { return !text_.empty(); }
    const meaning& what() const noexcept { return what_; }

    /// They have come again.
    void met() noexcept { missed_ = 0; }
    void forget() noexcept { text_.clear(); }
    /// Whether to learn those of the next head that differs. Where each does, it is tried now and then.
    bool are_worth_learning() noexcept {
        constexpr unsigned in_vain = 4, seldom = 16;
        return missed_++ < in_vain || missed_ % seldom == 0;
    }
    /// Those of `from`, which are the bytes of `text`. True: they are known, and `from` has views into the copy.
    bool learn(std::string_view text, request& from, const meaning& what) noexcept;

private:
    static constexpr std::size_t most = 1024;  ///< bytes: each workspace may keep so many

    std::string text_;
    meaning what_;
    std::uint8_t missed_ = 0;  ///< heads in succession; begins again after 255
};

}  // namespace server
