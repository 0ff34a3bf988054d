#include "tracker/keyed_hash.hpp"

#include <bit>
#include <boost/endian/conversion.hpp>
#include <cstddef>

namespace tracker {
namespace {

__extension__ using wide = unsigned __int128;

constexpr std::uint64_t prime = (std::uint64_t{1} << 61U) - 1;
constexpr std::size_t word_size = 7;
constexpr std::uint64_t word_mask = (std::uint64_t{1} << (8 * word_size)) - 1;

/// The four words of the state by value, so that they stay in registers.
struct sip_state {
    std::uint64_t a, b, c, d;

    void round() noexcept {
        a += b;
        c += d;
        b = std::rotl(b, 13) ^ a;
        d = std::rotl(d, 16) ^ c;
        a = std::rotl(a, 32);
        c += b;
        a += d;
        b = std::rotl(b, 17) ^ c;
        d = std::rotl(d, 21) ^ a;
        c = std::rotl(c, 32);
    }
    void take(std::uint64_t word) noexcept {
        d ^= word;
        round();
        round();
        a ^= word;
    }
};

/// Modulo the prime, but for a few times it: less than 2^62 + 8 for what is below 2^125.
std::uint64_t reduced(wide value) noexcept {
    const auto low = static_cast<std::uint64_t>(value) & prime;
    const auto high = static_cast<std::uint64_t>(value >> 61U);
    return low + (high & prime) + (high >> 61U);
}

std::uint64_t load(const char* from) noexcept {
    return boost::endian::load_little_u64(reinterpret_cast<const unsigned char*>(from));
}

/// The last `left` bytes, at most 7, of this many.
std::uint64_t last_word(std::string_view bytes, std::size_t left) noexcept {
    const auto* end = bytes.data() + bytes.size();
    if (bytes.size() >= 8) return load(end - 8) >> (8 * (8 - left));
    std::uint64_t word = 0;
    while (left > 0) word = word << 8U | static_cast<unsigned char>((end - bytes.size())[--left]);
    return word;
}

}  // namespace

std::uint64_t siphash(const std::array<std::uint64_t, 2>& key, std::initializer_list<std::uint64_t> words) noexcept {
    sip_state state{key[0] ^ 0x736f6d6570736575U, key[1] ^ 0x646f72616e646f6dU, key[0] ^ 0x6c7967656e657261U,
                    key[1] ^ 0x7465646279746573U};
    for (const auto word : words) state.take(word);
    state.take(std::uint64_t{words.size() * 8} << 56U);  // the length in bytes, modulo 256
    state.c ^= 0xffU;
    for (int i = 0; i < 4; ++i) state.round();
    return state.a ^ state.b ^ state.c ^ state.d;
}

polynomial_digest::polynomial_digest(std::uint64_t point) noexcept : power_{point & prime} {
    for (std::size_t i = 1; i < power_.size(); ++i) power_[i] = reduced(wide{power_[i - 1]} * power_[0]) % prime;
}

/// Eight words at a time, each with its own power, so that the multiplications do not wait for each other.
std::uint64_t polynomial_digest::operator()(std::string_view bytes) const noexcept {
    constexpr std::size_t words = 8;
    std::uint64_t sum = 0;
    const auto* from = bytes.data();
    auto left = bytes.size();
    for (; left > words * word_size;
         from += words * word_size, left -= words * word_size) {  // the last load takes one byte more
        auto all = wide{sum + (load(from) & word_mask)} * power_[words - 1];
        for (std::size_t i = 1; i < words; ++i)
            all += wide{load(from + word_size * i) & word_mask} * power_[words - 1 - i];
        sum = reduced(all);
    }
    if (left > 0) {
        auto power = (left + word_size - 1) / word_size;
        wide all = 0;
        for (; left > word_size; from += word_size, left -= word_size, sum = 0)
            all += wide{sum + (load(from) & word_mask)} * power_[--power];
        sum = reduced(all + wide{sum + last_word(bytes, left)} * power_[0]);
    }
    sum = (sum & prime) + (sum >> 61U);
    return sum >= prime ? sum - prime : sum;
}

}  // namespace tracker
