#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/metrics.hpp"

namespace telemetry {

/// Encoded records on their way to the worker that sends them, each with its key and length in front as they stand in
/// a request: bounded by number and bytes, in memory that is there from the start. What finds no room is dropped, the
/// newest first, and counted.
///
/// One thread writes (`begin`, `end`), one reads (`take`); neither waits for the other. Everything else on any thread.
class record_ring {
public:
    static constexpr std::size_t longest_record = 16UL * 1024;
    static constexpr std::size_t usual_record = 512;  ///< for this many bytes each there is room

    explicit record_ring(std::size_t capacity);

    /// Where `longest_record` bytes of the next record may be written; nullptr: it is dropped.
    char* begin() noexcept;
    /// It is there, and has so many bytes. Without it nothing has come.
    void end(std::size_t bytes) noexcept;
    void drop() noexcept { dropped_.add(); }

    /// Appends whole records to `into`, and to `ends` where each ends in it: at most `records`, and no more than
    /// `bytes` in `into` unless it is the first. How many.
    std::size_t take(std::string& into, std::vector<std::size_t>& ends, std::size_t records, std::size_t bytes);

    std::uint64_t written() const noexcept { return written_.load(std::memory_order_acquire); }
    std::uint64_t waiting() const noexcept {
        const auto taken = taken_.load(std::memory_order_acquire);  // first: there are no fewer written than that
        return written() - taken;
    }
    std::uint64_t dropped() const noexcept { return dropped_.get(); }

private:
    using length = std::uint32_t;
    static constexpr length wraps = UINT32_MAX;  ///< the next record is at the beginning
    static std::size_t rounded(std::size_t bytes) noexcept {
        return (bytes + sizeof(length) - 1) / sizeof(length) * sizeof(length);
    }
    void put(std::size_t at, length value) noexcept;
    length look(std::size_t at) const noexcept;

    const std::uint64_t capacity_;
    const std::size_t size_;
    const std::unique_ptr<char[]> bytes_;
    std::size_t write_ = 0;       ///< the writer's; counted on, not back
    std::size_t write_at_ = 0;    ///< ... its place in `bytes_`: a division for each record would be dear
    std::size_t freed_seen_ = 0;  ///< ... what it has last seen of `read_`
    alignas(64) std::atomic<std::size_t> published_{0};
    std::atomic<std::uint64_t> written_{0};
    server::counter dropped_;
    alignas(64) std::atomic<std::size_t> read_{0};
    std::atomic<std::uint64_t> taken_{0};
};

/// The same for writers that come seldom, from any thread: one at a time.
class shared_ring {
public:
    explicit shared_ring(std::size_t capacity) : ring_(capacity) {}

    /// `write` is given `longest_record` bytes and returns how many it has used; 0: the record is dropped.
    template <class Write>
    void add(const Write& write) noexcept {
        const std::scoped_lock lock(mutex_);
        auto* const at = ring_.begin();
        if (at == nullptr) return;
        if (const std::size_t used = write(at); used > 0)
            ring_.end(used);
        else
            ring_.drop();
    }
    record_ring& ring() noexcept { return ring_; }
    const record_ring& ring() const noexcept { return ring_; }

private:
    std::mutex mutex_;
    record_ring ring_;
};

}  // namespace telemetry
