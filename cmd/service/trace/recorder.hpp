#pragma once

#include <sys/types.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lifecycle/context.hpp"

namespace trace {

/// Something that has happened. Texts are cut to what there is room for; what is not printable ASCII becomes '?'.
struct record {
    enum class kind : std::uint8_t { handler, request, batch };

    template <std::size_t size>
    struct text {
        std::array<char, size> bytes{};
        void operator=(std::string_view from) noexcept {
            const auto printable = [](char c) { return c >= ' ' && c <= '~' ? c : '?'; };
            *std::transform(from.begin(), from.begin() + std::min(from.size(), size - 1), bytes.begin(), printable) = 0;
        }
        std::string_view view() const noexcept { return bytes.data(); }
    };

    kind what = kind::handler;
    unsigned status = 0;       ///< of an HTTP answer
    std::uint64_t events = 0;  ///< of a batch
    const void* of = nullptr;  ///< the connection
    lifecycle::clock::time_point since, until;
    text<64> name;     ///< of the route or the sink
    text<96> detail;   ///< the target of a request; why a delivery has failed
    text<40> context;  ///< the id of the trace (W3C) that a request is part of
};

/// Takes records from threads, each into a bounded buffer of its own, without a lock; what finds no room is counted,
/// and so is what comes from more than `most_threads`. The oldest stay.
///
/// `add` on any thread, at any time; everything else on one thread. Buffers stay until it is destroyed, which must be
/// after the last `add`.
class recorder {
public:
    static constexpr std::size_t most_threads = 64;
    static constexpr std::size_t most_records = 16'384;  ///< a thread; some 4 MB, of which memory is what is written

    /// Of `living` threads: the buffers of others may be used again.
    void begin(const std::vector<pid_t>& living);
    void end() noexcept { round_.store(0, std::memory_order_relaxed); }
    /// One load: whether `add` would take anything.
    bool on() const noexcept { return round_.load(std::memory_order_relaxed) != 0; }
    void add(const record& record) noexcept;

    /// Calls `see(pid_t, std::span<const record>)` for each thread that has added something since `begin`. After `end`.
    template <class See>
    void for_each(See see) const {
        for (const auto& buffer : buffers_) {
            const auto published = buffer.published.load(std::memory_order_acquire);
            if (rounds_ == 0 || published >> 32 != rounds_) continue;
            see(buffer.thread.load(std::memory_order_relaxed),
                std::span(buffer.records.data(), published & 0xffffffff));
        }
    }
    std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

private:
    struct buffer {
        std::atomic<pid_t> thread{0};             ///< 0: no thread's
        std::vector<record> records;              ///< its thread's; never moves
        std::uint64_t round = 0;                  ///< the same
        std::atomic<std::uint64_t> published{0};  ///< round, and how many
    };

    buffer* mine() noexcept;

    std::array<buffer, most_threads> buffers_;
    std::atomic<std::uint64_t> round_{0};  ///< 0: off
    std::uint64_t rounds_ = 0;
    std::atomic<std::uint64_t> lost_{0};
};

}  // namespace trace
