#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http1/request_parser.hpp"

namespace requests {

/// What is seen of a request, on one line; reads every byte that its views promise.
inline std::string describe(const server::request& request, bool keep_alive) {
    auto text = fmt::format("{} {} v{}", request.method_name, request.path, request.version);
    if (!request.query.empty()) text += fmt::format(" query={}", request.query);
    text += fmt::format(" host={}", request.host);
    for (const auto& field : request.fields) text += fmt::format(" {}={}", field.name, field.value);
    if (!request.body.empty()) text += fmt::format(" body={}", request.body);
    return text + (keep_alive ? " keep" : " close");
}

/// Reads requests as a connection does: its buffer is a new one, of exactly the size that is needed,
/// for each piece that comes, so that a view which has not followed is a fault that a sanitizer sees.
class reader {
public:
    explicit reader(const server::options& limits) : parser_(limits) {}

    /// False: refused, nothing more is read.
    bool feed(std::string_view piece) {
        size_ = parser_.squeeze(buffer_.get(), size_);
        auto larger = std::make_unique<char[]>(size_ + piece.size());
        if (size_ > 0) std::memcpy(larger.get(), buffer_.get(), size_);
        if (!piece.empty()) std::memcpy(larger.get() + size_, piece.data(), piece.size());
        buffer_ = std::move(larger);
        size_ += piece.size();
        while (size_ > 0) {
            const auto result = parser_.next(buffer_.get(), size_);
            if (result == server::request_parser::progress::need_more) break;
            if (result == server::request_parser::progress::refused) {
                seen.push_back(fmt::format("refused {}", static_cast<unsigned>(parser_.refusal())));
                return false;
            }
            seen.push_back(describe(parser_.request(), parser_.keep_alive()));
            size_ -= parser_.consumed();
            std::memmove(buffer_.get(), buffer_.get() + parser_.consumed(), size_);
            parser_.reset();
        }
        return true;
    }

    /// Once no more bytes come.
    void end() {
        if (parser_.begun()) seen.push_back(parser_.head_done() ? "body is not whole" : "head is not whole");
    }

    std::size_t buffered() const noexcept { return size_; }

    std::vector<std::string> seen;  ///< one line a request; "refused 400"

private:
    server::request_parser parser_;
    std::unique_ptr<char[]> buffer_;
    std::size_t size_ = 0;
};

/// `bytes` in pieces: `length(nth)` says how long each is; 0: all the rest.
template <class Length>
std::vector<std::string> read_in_pieces(const server::options& limits, std::string_view bytes, Length length) {
    reader reading(limits);
    bool more = true;
    for (std::size_t nth = 0; more && !bytes.empty(); ++nth) {
        const auto wanted = static_cast<std::size_t>(length(nth));
        const auto piece = bytes.substr(0, wanted == 0 ? bytes.size() : wanted);
        bytes.remove_prefix(piece.size());
        more = reading.feed(piece);
    }
    if (more) reading.end();
    return reading.seen;
}

inline std::vector<std::string> read_whole(const server::options& limits, std::string_view bytes) {
    return read_in_pieces(limits, bytes, [](std::size_t) { return 0; });
}

inline std::vector<std::string> read_bytewise(const server::options& limits, std::string_view bytes) {
    return read_in_pieces(limits, bytes, [](std::size_t) { return 1; });
}

inline std::vector<std::string> read_cut(const server::options& limits, std::string_view bytes, std::size_t at) {
    return read_in_pieces(limits, bytes, [at](std::size_t nth) { return nth == 0 ? at : 0; });
}

}  // namespace requests
