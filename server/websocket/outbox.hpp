#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/forget.hpp"

namespace server::websocket {

/// A whole frame that any number of connections may send: made once, never copied, and gone with the last of them.
using shared_frame = std::shared_ptr<const std::string>;

/// What a connection has to send, in order: bytes of its own, and frames that it shares with others. When it is empty
/// it keeps no more than the memory of a short message.
class outbox {
public:
    bool empty() const noexcept { return size_ == 0; }
    /// Bytes that are not in the socket yet.
    std::size_t size() const noexcept { return size_; }
    /// What is sent next; not empty unless all of it is.
    std::string_view front() const noexcept {
        const auto& first = pieces_[first_];
        return (first.shared ? std::string_view(*first.shared) : std::string_view(first.own)).substr(written_);
    }

    /// Appends what `put` appends to the string that it is given. Throws std::bad_alloc: nothing has been added.
    template <class Put>
    void append(const Put& put) {
        if (pieces_.empty() || pieces_.back().shared) pieces_.emplace_back();
        auto& own = pieces_.back().own;
        const auto before = own.size();
        try {
            put(own);
        } catch (...) {
            own.resize(before);
            throw;
        }
        size_ += own.size() - before;
    }
    void append(shared_frame frame) {
        if (empty()) pieces_.clear();
        size_ += frame->size();
        pieces_.push_back({.own = {}, .shared = std::move(frame)});
    }
    void wrote(std::size_t count) noexcept {
        size_ -= count;
        written_ += count;
        if (size_ == 0) return clear();
        if (!front().empty()) return;
        pieces_[first_++] = {};
        written_ = 0;
    }
    void clear() noexcept {
        size_ = written_ = first_ = 0;
        if (pieces_.size() == 1 && !pieces_.front().shared) return forget(pieces_.front().own);
        pieces_.clear();
        if (pieces_.capacity() > 1) pieces_ = {};
    }

private:
    struct piece {
        std::string own;
        shared_frame shared;
    };
    std::vector<piece> pieces_;
    std::size_t first_ = 0;    ///< of the pieces, that is not sent
    std::size_t written_ = 0;  ///< of that
    std::size_t size_ = 0;
};

}  // namespace server::websocket
