#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace tracker {

// Checksums that cannot be foreseen without their key: docs/spool-format.md, docs/adr/0044. Values; any thread.

/// SipHash-2-4 (Aumasson and Bernstein, 2012) of the words, each as its eight bytes, little endian.
std::uint64_t siphash(const std::array<std::uint64_t, 2>& key, std::initializer_list<std::uint64_t> words) noexcept;

/// A polynomial modulo 2^61 - 1 at a secret point: its coefficients are the bytes, seven at a time, little endian, the
/// last ones filled up with zeros. Two inputs of n words and of one length, chosen by somebody who does not know the
/// point, have the same digest with a chance of at most n in 2^61.
class polynomial_digest {
public:
    explicit polynomial_digest(std::uint64_t point) noexcept;
    std::uint64_t operator()(std::string_view bytes) const noexcept;

private:
    std::array<std::uint64_t, 8> power_;  ///< of the point, from the first
};

}  // namespace tracker
