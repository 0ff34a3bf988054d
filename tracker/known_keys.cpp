#include "tracker/known_keys.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <mutex>
#include <new>
#include <random>
#include <utility>

#include "tracker/keyed_hash.hpp"

namespace tracker {
namespace {

std::uint64_t secret() {
    std::random_device random;
    return (std::uint64_t{random()} << 32U) | random();
}

}  // namespace

struct known_keys::state {
    explicit state(std::size_t keys) : at_least(keys) {}

    /// With the length: the digest alone is the same for texts that differ in zeros at their end.
    std::uint64_t of(std::string_view text) const noexcept { return digest(text) + text.size(); }

    const std::size_t at_least;
    const polynomial_digest digest{secret()};
    std::mutex mutex;
    // When the newer has all it may have, it becomes the older, and what that one had is forgotten.
    boost::unordered_flat_map<std::uint64_t, std::uint64_t> newer, older;
};

known_keys::known_keys(std::size_t at_least) : state_(std::make_unique<state>(at_least)) {}

known_keys::~known_keys() = default;

bool known_keys::agrees(std::string_view key, std::string_view body) noexcept try {
    auto& self = *state_;
    const auto name = self.of(key);
    const auto content = self.of(body);
    const std::scoped_lock lock(self.mutex);
    if (const auto found = self.newer.find(name); found != self.newer.end()) return found->second == content;
    const auto before = self.older.find(name);
    if (before != self.older.end() && before->second != content) return false;
    if (self.newer.size() == self.at_least) {
        std::swap(self.newer, self.older);
        self.newer.clear();
    }
    self.newer.emplace(name, content);
    return true;
} catch (const std::bad_alloc&) {
    return true;
}

}  // namespace tracker
