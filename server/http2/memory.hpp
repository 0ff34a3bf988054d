#pragma once

#include <array>
#include <cstddef>

#include "server/http2/nghttp2.hpp"

namespace server::http2 {

/// Memory for nghttp2, which asks for four small blocks a request: they are kept by size, so that a request that is
/// like the one before it costs no malloc. Only on one thread, and it outlives the sessions that have its blocks.
class memory {
public:
    memory() = default;
    ~memory();
    memory(const memory&) = delete;
    memory& operator=(const memory&) = delete;

    void* take(std::size_t size) noexcept;  ///< nullptr: there is none
    void give_back(void* block) noexcept;

private:
    friend class session_memory;
    struct header;
    static constexpr std::size_t classes = 5;             ///< 64 bytes to 1 KiB, with the header
    static constexpr std::size_t most_kept = 256 * 1024;  ///< bytes, of each class

    std::array<header*, classes> free_{};
    std::array<std::size_t, classes> kept_{};
};

/// What one session has of it. nghttp2 keeps a buffer for the largest frame as long as a session lives, 16 KiB of which
/// an idle connection needs nothing: it has pages of its own, with nothing else on them, and they can be let go of.
class session_memory {
public:
    explicit session_memory(memory& from) noexcept;
    ~session_memory();
    session_memory(const session_memory&) = delete;
    session_memory& operator=(const session_memory&) = delete;

    nghttp2_mem* hooks() noexcept { return &hooks_; }
    /// Nothing is being sent: what is in that buffer is of no use any more.
    void rest() noexcept;

private:
    static void* take(std::size_t size, void* self);
    static void give_back(void* block, void* self);
    static void* take_zeroed(std::size_t number, std::size_t size, void* self);
    static void* grow(void* block, std::size_t size, void* self);

    memory& from_;
    void* frame_ = nullptr;  ///< that buffer
    std::size_t frame_size_ = 0;
    nghttp2_mem hooks_;
};

}  // namespace server::http2
