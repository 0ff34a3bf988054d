#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace server::http2 {

/// What the ids of its streams say of what a client may still send on them: nghttp2, without its tree of priorities,
/// remembers no stream that is over. An id is that of a stream, not 0.
class stream_ids {
public:
    /// It has begun one, whose id is larger than those before it.
    void begin(std::int32_t id) noexcept {
        if (id > last_ + 2) {
            gap_from_ = last_ + 1;
            gap_to_ = id;
        }
        last_ = id;
    }
    /// It has ended one, and it stays ended (RFC 9113 section 5.1). Of those that are over the latest are known.
    void end(std::int32_t id) noexcept { ended_.add(id); }
    /// It has reset one. Of these the latest are known too.
    void leave(std::int32_t id) noexcept { left_.add(id); }
    /// What it still sends on that one is of no more interest.
    void forget_left(std::int32_t id) noexcept { left_.drop(id); }

    bool is_new(std::int32_t id) const noexcept { return id > last_; }
    bool has_ended(std::int32_t id) const noexcept { return ended_.has(id); }
    bool has_left(std::int32_t id) const noexcept { return left_.has(id); }
    /// It began a larger one before this: a stream of this id will never be (RFC 9113 section 5.1.1). The latest gap is
    /// known.
    bool is_left_out(std::int32_t id) const noexcept { return id >= gap_from_ && id < gap_to_; }

private:
    class latest {
    public:
        void add(std::int32_t id) noexcept { ids_[next_++ % ids_.size()] = id; }
        void drop(std::int32_t id) noexcept { std::ranges::replace(ids_, id, 0); }
        bool has(std::int32_t id) const noexcept { return std::ranges::find(ids_, id) != ids_.end(); }

    private:
        std::array<std::int32_t, 8> ids_{};
        std::uint32_t next_ = 0;  ///< in that
    };

    latest ended_, left_;
    std::int32_t last_ = 0;
    std::int32_t gap_from_ = 0, gap_to_ = 0;
};

}  // namespace server::http2
