#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace tracker {

/// Which body an Idempotency-Key came with: tells a request that is repeated from another one under the same key.
///
/// Remembers at least the last `at_least` keys and at most twice as many, of this process: a digest of 8 bytes of each
/// key and of its body, some 2 MiB for each 65,536, taken when they are needed. The digests have a secret of their own,
/// so that nobody can make two keys that are taken for one. Safe from any thread; never blocks for longer than a look.
class known_keys {
public:
    static constexpr std::size_t by_default = 65'536;

    explicit known_keys(std::size_t at_least = by_default);
    ~known_keys();
    known_keys(const known_keys&) = delete;
    known_keys& operator=(const known_keys&) = delete;

    /// False when `key` is known with another body. A key that is not known is from here on, whatever becomes of its
    /// event: one that was answered 503 or 504 may have been kept. Where there is no memory for it, true.
    bool agrees(std::string_view key, std::string_view body) noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace tracker
