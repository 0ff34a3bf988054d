#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lifecycle/context.hpp"
#include "server/http1.hpp"

namespace server {

/// Everything that a connection needs only while it has something to do: lent by its loop, so that an
/// idle connection owns no buffer. Only on the loop's thread.
struct workspace {
    explicit workspace(const options& limits) : parser(limits) { shrink(); }

    static constexpr std::size_t usual_input = 8 * 1024;
    static constexpr std::size_t usual_output = 64 * 1024;

    std::size_t buffered() const noexcept { return end - begin; }
    std::size_t room() const noexcept { return capacity - end; }
    std::size_t welcome() const noexcept { return std::min(room(), parser.welcome(buffered())); }
    char* data() noexcept { return input.get() + begin; }
    bool flushed() const noexcept { return written == out.size(); }

    /// Makes room for more bytes: moves what is there to the front, then doubles. Growth follows what
    /// has really come, never what a client has announced.
    void make_room() {
        end = begin + parser.squeeze(data(), buffered());
        if (begin > 0) std::memmove(input.get(), data(), buffered());
        end -= begin;
        begin = 0;
        if (room() > capacity / 4) return;
        auto larger = std::make_unique_for_overwrite<char[]>(capacity * 2);
        std::memcpy(larger.get(), input.get(), end);
        input = std::move(larger);
        capacity *= 2;
    }

    /// The complete request has been answered: what follows it is the next one's.
    void next_request() {
        begin += parser.consumed();
        parser.reset();
        reply = {};
        if (begin == end) begin = end = 0;
    }

    /// Ready for another connection; memory beyond the usual is given back.
    void renew() {
        parser.reset();
        reply = {};
        begin = end = written = 0;
        out.clear();
        if (capacity > usual_input) shrink();
        if (out.capacity() > usual_output) out = std::string();
    }

    std::unique_ptr<char[]> input;
    std::size_t capacity = 0, begin = 0, end = 0;
    std::string out;
    std::size_t written = 0;  ///< of `out`
    request_parser parser;
    lifecycle::cancel_scope scope;
    std::array<char, 16> id;  ///< a request id made here
    response reply;
    body_coding coding = body_coding::none;  ///< of `reply`
    bool last = false;                       ///< the connection ends with `reply`

private:
    void shrink() {
        input = std::make_unique_for_overwrite<char[]>(usual_input);
        capacity = usual_input;
    }
};

/// Lends workspaces, and keeps a bounded number that nobody uses.
class workspace_pool {
public:
    explicit workspace_pool(const options& limits) : limits_(limits) {}

    std::unique_ptr<workspace> lend() {
        if (free_.empty()) return std::make_unique<workspace>(limits_);
        auto one = std::move(free_.back());
        free_.pop_back();
        return one;
    }
    void give_back(std::unique_ptr<workspace> one) {
        freed_ += one->capacity + one->out.capacity();
        if (free_.size() >= max_free) return;
        one->renew();
        freed_ -= one->capacity + one->out.capacity();
        free_.push_back(std::move(one));
    }
    /// Called now and then: lets go of half of what lay about unused, so that a storm leaves nothing behind.
    /// True: it is over, and what malloc keeps of it is worth being given back to the kernel.
    bool shrink() {
        if (free_.size() <= 8) return freed_ >= much && std::exchange(freed_, 0) != 0;
        for (auto left = free_.size() / 2; left > 0; --left, free_.pop_back())
            freed_ += free_.back()->capacity + free_.back()->out.capacity();
        return false;
    }

private:
    static constexpr std::size_t max_free = 256;
    static constexpr std::size_t much = 4 * 1024 * 1024;
    const options& limits_;
    std::vector<std::unique_ptr<workspace>> free_;
    std::size_t freed_ = 0;  ///< bytes, since `shrink` last said so
};

}  // namespace server
