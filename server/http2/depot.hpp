#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "server/http2/memory.hpp"
#include "server/http2/stream.hpp"

namespace server::http2 {

/// What the HTTP/2 connections of one loop share: memory for nghttp2, streams that are not in use, and how many bytes
/// of bodies are held. Only on the loop's thread.
class depot {
public:
    std::unique_ptr<stream> take() {
        if (free_.empty()) return std::make_unique<stream>();
        auto taken = std::move(free_.back());
        free_.pop_back();
        return taken;
    }
    void give_back(std::unique_ptr<stream> stream) noexcept {
        held -= stream->body.unread();
        stream->stream_hook::unlink();
        stream->waking_hook::unlink();
        if (free_.size() == free_.capacity()) return;
        stream->renew();
        free_.push_back(std::move(stream));
    }
    depot() { free_.reserve(most_free); }

    memory blocks;
    std::size_t held = 0;            ///< bytes of bodies, of all connections
    std::vector<nghttp2_nv> fields;  ///< of the answer that is being made, kept for its memory
    std::string names;

private:
    static constexpr std::size_t most_free = 256;
    std::vector<std::unique_ptr<stream>> free_;
};

}  // namespace server::http2
