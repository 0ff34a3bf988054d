#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace server {

/// SHA-256 (FIPS 180-4) of bytes that come in pieces, by the processor's own instructions where it has them. For check
/// sums and the digests of keys: code that needs more cryptography links a library for it.
class sha256 {
public:
    sha256() noexcept;
    void add(std::span<const char> piece) noexcept;
    /// In hexadecimal digits. Nothing is added after that.
    std::string hex();

    /// Whether the processor has the instructions.
    static bool is_fast() noexcept;
    /// Without them, for a test.
    void be_portable() noexcept;

private:
    using state = std::array<std::uint32_t, 8>;
    using blocks_function = void (*)(state&, const char*, std::size_t) noexcept;

    static constexpr std::size_t block = 64;

    state state_;
    blocks_function add_blocks_;
    std::array<char, block> rest_{};
    std::uint64_t size_ = 0;
};

}  // namespace server
