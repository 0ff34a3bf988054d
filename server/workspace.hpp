#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "server/exchange.hpp"
#include "server/forget.hpp"
#include "server/http1/request_parser.hpp"
#include "server/http1/response_head.hpp"

namespace server {

/// Everything that a connection needs only while it has something to do: lent by its loop, so that an
/// idle connection owns no buffer. Only on the loop's thread.
///
/// It has pages of its own: what a storm has taken goes back to the kernel at once, and leaves no holes between the
/// small pieces that idle connections keep. Of those pages only what is written to costs memory.
struct workspace {
    explicit workspace(std::shared_ptr<const options> first) : limits(std::move(first)), parser(*limits) { shrink(); }

    static void* operator new(std::size_t size) {
        void* const pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) throw std::bad_alloc();
        return pages;
    }
    static void operator delete(void* pages, std::size_t size) noexcept { ::munmap(pages, size); }

    static constexpr std::size_t usual_input = 7 * 1024;  ///< with the rest of a workspace: two pages
    static constexpr std::size_t usual_output = 64 * 1024;

    std::size_t buffered() const noexcept { return end - begin; }
    std::size_t room() const noexcept { return capacity - end; }
    std::size_t welcome() const noexcept { return std::min(room(), parser.welcome(buffered())); }
    char* data() noexcept { return input + begin; }
    bool flushed() const noexcept { return written == out.size(); }

    /// Before a request begins: these limits hold for it, and for everything that belongs to it, to its end.
    void go_by(const std::shared_ptr<const options>& fresh) {
        if (limits == fresh) return;
        parser.go_by(*fresh);
        limits = fresh;
    }

    /// Makes room for more bytes: moves what is there to the front, then doubles. Growth follows what
    /// has really come, never what a client has announced.
    void make_room() {
        end = begin + parser.squeeze(data(), buffered());
        if (begin > 0) std::memmove(input, data(), buffered());
        end -= begin;
        begin = 0;
        if (room() > capacity / 4) return;
        auto twice = std::make_unique_for_overwrite<char[]>(capacity * 2);
        std::memcpy(twice.get(), input, end);
        larger = std::move(twice);
        input = larger.get();
        capacity *= 2;
    }

    /// The complete request has been answered: what follows it is the next one's.
    void next_request() {
        begin += parser.consumed();
        assert(begin <= end);
        parser.reset();
        current.reply.renew();
        current.is_forwarded = false;
        if (begin == end) begin = end = 0;
    }

    /// As it was lent: nothing of a request is in it, and it has not grown.
    bool is_fresh() const noexcept {
        return begin == end && out.empty() && !parser.begun() && !current.incoming && capacity == usual_input &&
               out.capacity() <= usual_output;
    }

    /// Ready for another connection; memory beyond the usual is given back.
    void renew() {
        parser.reset();
        current.reply.renew();
        current.is_forwarded = false;
        current.incoming.reset();
        begin = end = written = 0;
        forget(out, usual_output);
        if (capacity > usual_input) shrink();
    }

    char* input = nullptr;
    std::size_t capacity = 0, begin = 0, end = 0;
    std::string out;
    std::size_t written = 0;                ///< of `out`
    std::shared_ptr<const options> limits;  ///< copied only when they have changed: no request counts references
    request_parser parser;
    exchange current;                             ///< the request that is answered now
    body_coding coding = body_coding::none;       ///< of its answer
    bool last = false;                            ///< the connection ends with it
    std::uint64_t left = 0;                       ///< of a stream, before what was promised has been sent
    lifecycle::clock::duration time_of_reader{};  ///< that the client still has when the source has returned

private:
    void shrink() {
        larger = nullptr;
        input = usual.data();
        capacity = usual_input;
    }

    std::unique_ptr<char[]> larger;  ///< than `usual`, for as long as that is too small
    std::array<char, usual_input> usual;
};

/// Lends workspaces, and keeps a bounded number of unused ones.
class workspace_pool {
public:
    explicit workspace_pool(const std::shared_ptr<const options>& limits) : limits_(limits) { free_.reserve(max_free); }

    /// Throws std::bad_alloc.
    std::unique_ptr<workspace> lend() {
        std::unique_ptr<workspace> lent;
        if (free_.empty()) {
            lent = std::make_unique<workspace>(limits_);
        } else {
            lent = std::move(free_.back());
            free_.pop_back();
        }
        ++lent_;
        return lent;
    }
    void give_back(std::unique_ptr<workspace> workspace) noexcept {
        assert(lent_ > 0 && "only what was lent is given back");
        --lent_;
        if (!workspace->is_fresh()) [[unlikely]] {
            freed_ += workspace->capacity + workspace->out.capacity();
            workspace->renew();
            freed_ -= workspace->capacity + workspace->out.capacity();
        }
        if (free_.size() < max_free)
            free_.push_back(std::move(workspace));
        else
            freed_ += workspace->capacity + workspace->out.capacity();
    }
    /// That of a connection that falls idle, so that the next request, of whatever connection, finds it in the nearest
    /// cache. Returned when it has grown: the connection keeps it for a second, as its next request may be as large.
    std::unique_ptr<workspace> take_when_idle(std::unique_ptr<workspace> from) noexcept {
        if (!from->is_fresh() && !many_lent()) return from;
        give_back(std::move(from));
        return nullptr;
    }
    /// There are too many for a connection that falls idle to keep even one that has grown.
    bool many_lent() const noexcept { return lent_ > 2048; }
    /// Called now and then: frees half of those that were unused, so that a burst of load leaves no memory in use.
    /// True: it is over, and what malloc keeps of it is worth being given back to the kernel.
    bool shrink() {
        if (free_.size() <= 8) return freed_ >= much && std::exchange(freed_, 0) != 0;
        for (auto left = free_.size() / 2; left > 0; --left, free_.pop_back())
            freed_ += free_.back()->capacity + free_.back()->out.capacity();
        return false;
    }

private:
    static constexpr std::size_t max_free = 256;
    static constexpr std::size_t much = 1024 * 1024;  ///< what each loop may keep of a storm, for good
    const std::shared_ptr<const options>& limits_;
    std::vector<std::unique_ptr<workspace>> free_;
    std::size_t lent_ = 0;
    std::size_t freed_ = 0;  ///< bytes, since `shrink` last said so
};

}  // namespace server
