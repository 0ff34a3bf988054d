#pragma once

#include <array>
#include <cstddef>

#include "server/http2/nghttp2.hpp"

namespace server::http2 {

/// Memory for nghttp2, which asks for four small blocks a request: they are kept by size, so that a request that is
/// like the one before it costs no malloc. Only on one thread; it outlives the sessions that have its blocks.
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

/// What one session has of it. As long as it lives nghttp2 keeps a buffer for the largest frame and a table of streams,
/// 20 KiB of which an idle connection needs nothing: they have pages of their own, with nothing else on them, which can
/// be given back.
class session_memory {
public:
    explicit session_memory(memory& from) noexcept;
    ~session_memory();
    session_memory(const session_memory&) = delete;
    session_memory& operator=(const session_memory&) = delete;

    nghttp2_mem* hooks() noexcept { return &hooks_; }
    /// Nothing is being sent: what is in that buffer is of no further use, nor is a table without a stream.
    void rest() noexcept;

private:
    static constexpr std::size_t page = 4096;
    static constexpr std::size_t table_size = page;      ///< as nghttp2 makes it
    static constexpr std::size_t frame_room = 5 * page;  ///< its buffer is 16 KiB and some bytes

    void* on_pages(bool& taken, std::size_t from) noexcept;
    bool table_is_empty() const noexcept;
    static void* take(std::size_t size, void* self);
    static void give_back(void* block, void* self);
    static void* take_zeroed(std::size_t number, std::size_t size, void* self);
    static void* grow(void* block, std::size_t size, void* self);

    memory& from_;
    char* pages_ = nullptr;  ///< the table's, followed by the buffer's
    bool has_table_ = false, has_frame_ = false;
    nghttp2_mem hooks_;
};

}  // namespace server::http2
