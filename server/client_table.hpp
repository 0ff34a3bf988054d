#pragma once

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace server {

/// How many connections each client has. A client is an IPv4 address or the first 64 bits of an IPv6 address: a network
/// of that size is what one subscriber has at least (RFC 6177 section 2), and its owner chooses the rest at will.
///
/// The table has a fixed size: four times the connections that may be open. Where a client hashes to is random, so no
/// client can fill the slots of others; one that finds no slot in spite of that is not counted. The table allocates
/// nothing before a client is counted. Safe from any thread.
class client_table {
    struct slot {
        std::uint64_t client = 0;  ///< means nothing while the count is 0
        std::atomic<std::uint32_t> open{0};
    };

public:
    /// One connection of a client: it counts as long as this lives. The table must outlive it.
    class share {
    public:
        share() = default;
        share(share&& other) noexcept : in_(std::exchange(other.in_, nullptr)) {}
        share& operator=(share&& other) noexcept {
            std::swap(in_, other.in_);
            return *this;
        }
        ~share() {
            if (in_ != nullptr) in_->open.fetch_sub(1, std::memory_order_release);
        }

    private:
        friend client_table;
        explicit share(slot& in) noexcept : in_(&in) {}
        slot* in_ = nullptr;
    };
    struct taken {
        share held;
        std::uint32_t nth = 0;  ///< connection that its client has now; 0: not counted
    };

    explicit client_table(std::size_t connections);

    /// Throws std::bad_alloc, the first time.
    taken take(const boost::asio::ip::address& client);

private:
    static constexpr std::size_t slots_a_bucket = 16;

    std::size_t buckets_;
    std::unique_ptr<slot[]> slots_;
    std::uint64_t seed_ = 0;
    std::mutex mutex_;  ///< for putting a client into a slot; to leave one needs no lock
};

}  // namespace server
