#include "server/client_table.hpp"

#include <algorithm>
#include <bit>
#include <boost/endian/conversion.hpp>
#include <cassert>
#include <random>

namespace server {
namespace {

namespace ip = boost::asio::ip;

/// No network of IPv6 begins with the bits that an address of IPv4 gets: ff.. is multicast (RFC 4291 section 2.4).
std::uint64_t key_of(const ip::address& client) noexcept {
    if (client.is_v4()) return 0xffffffff'00000000U | client.to_v4().to_uint();
    const auto bytes = client.to_v6().to_bytes();
    return boost::endian::load_big_u64(bytes.data());
}

/// The finalizer of MurmurHash3 (Appleby): each bit of the key changes half of the result.
constexpr std::uint64_t mixed(std::uint64_t key) noexcept {
    key = (key ^ (key >> 33)) * 0xff51afd7ed558ccdU;
    key = (key ^ (key >> 33)) * 0xc4ceb9fe1a85ec53U;
    return key ^ (key >> 33);
}

}  // namespace

client_table::client_table(std::size_t connections)
    : buckets_(std::bit_ceil(std::max<std::size_t>(1, connections / slots_a_bucket * 4))) {}

client_table::taken client_table::take(const ip::address& client) {
    const auto key = key_of(client);
    const std::scoped_lock lock(mutex_);
    if (!slots_) {
        std::random_device random;
        seed_ = (std::uint64_t{random()} << 32) | random();
        slots_ = std::make_unique<slot[]>(buckets_ * slots_a_bucket);
    }
    auto* const first = &slots_[(mixed(key ^ seed_) & (buckets_ - 1)) * slots_a_bucket];
    slot* its = nullptr;
    for (auto* at = first; at != first + slots_a_bucket; ++at) {
        const bool free = at->open.load(std::memory_order_acquire) == 0;
        if (!free && at->client == key) {
            its = at;
            break;
        }
        if (free && its == nullptr) its = at;
    }
    if (its == nullptr) return {};
    assert(its->open.load(std::memory_order_relaxed) == 0 || its->client == key);
    // It may have become free since it was looked at; then this client takes it again.
    its->client = key;
    return {.held = share(*its), .nth = its->open.fetch_add(1, std::memory_order_relaxed) + 1};
}

}  // namespace server
