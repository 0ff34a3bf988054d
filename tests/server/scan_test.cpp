#include "server/scan.hpp"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>

namespace {

using server::byte_kind;
namespace scan = server::scan;

/// A page between two that nobody may read: a read beyond either end of it is a crash, with or without a sanitizer.
class fenced_page {
public:
    fenced_page() : size_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
        void* const pages = ::mmap(nullptr, 3 * size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) throw std::bad_alloc();
        begin_ = static_cast<char*>(pages) + size_;
        if (::mprotect(begin_, size_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    }
    ~fenced_page() { ::munmap(begin_ - size_, 3 * size_); }
    fenced_page(const fenced_page&) = delete;
    fenced_page& operator=(const fenced_page&) = delete;

    std::span<char> first(std::size_t size) const noexcept { return {begin_, size}; }
    std::span<char> last(std::size_t size) const noexcept { return {begin_ + size_ - size, size}; }

private:
    const std::size_t size_;
    char* begin_ = nullptr;
};

template <byte_kind Kind>
constexpr char usual = Kind == byte_kind::token || Kind == byte_kind::host ? 'a' : '/';

/// One odd byte at each place of a buffer, and none; looked at from each place on.
template <byte_kind Kind>
void expect_the_same(std::span<char> buffer, char odd) {
    const char* const begin = buffer.data();
    const char* const end = begin + buffer.size();
    for (std::size_t place = 0; place <= buffer.size(); ++place) {
        std::memset(buffer.data(), usual<Kind>, buffer.size());
        if (place < buffer.size()) buffer[place] = odd;
        for (const char* at = begin; at <= end; ++at)
            ASSERT_EQ(scan::wide::end_of<Kind>(begin, at, end) - begin,
                      scan::bytewise::end_of<Kind>(begin, at, end) - begin)
                << "byte " << static_cast<int>(static_cast<unsigned char>(odd)) << " at " << place << " of "
                << buffer.size() << ", from " << at - begin;
    }
}

template <byte_kind Kind>
void expect_the_same_everywhere() {
    const fenced_page page;
    for (int byte = 0; byte < 256; ++byte)
        for (const std::size_t size : {1U, 15U, 16U, 17U, 33U})
            expect_the_same<Kind>(page.last(size), static_cast<char>(byte));
    for (std::size_t size = 0; size <= 66; ++size)  // every alignment of both ends
        for (const char odd : {'\r', ':', '\t', '\x7f', '\x80', '_'}) {
            expect_the_same<Kind>(page.first(size), odd);
            expect_the_same<Kind>(page.last(size), odd);
        }
}

TEST(Scan, FindsTheEndOfATokenWhereTheBytewiseOneDoes) { expect_the_same_everywhere<byte_kind::token>(); }

TEST(Scan, FindsTheEndOfATargetWhereTheBytewiseOneDoes) { expect_the_same_everywhere<byte_kind::target>(); }

TEST(Scan, FindsTheEndOfATextWhereTheBytewiseOneDoes) { expect_the_same_everywhere<byte_kind::text>(); }

TEST(Scan, FindsTheEndOfWhatALogShowsAsItIsWhereTheBytewiseOneDoes) { expect_the_same_everywhere<byte_kind::plain>(); }

TEST(Scan, FindsTheEndOfAUsualHostWhereTheBytewiseOneDoes) { expect_the_same_everywhere<byte_kind::host>(); }

TEST(Scan, FindsTheEndOfAUsualPathWhereTheBytewiseOneDoes) { expect_the_same_everywhere<byte_kind::path>(); }

/// Each byte at each place of a text of each size that is looked at in another way.
template <byte_kind Kind>
void expect_the_same_of_all(std::span<char> text) {
    for (int odd = 0; odd < 256; ++odd)
        for (std::size_t place = 0; place <= text.size(); ++place) {
            std::memset(text.data(), 'a', text.size());
            if (place < text.size()) text[place] = static_cast<char>(odd);
            const std::string_view all(text.data(), text.size());
            ASSERT_EQ(scan::wide::is_all<Kind>(all), scan::bytewise::is_all<Kind>(all))
                << "byte " << odd << " at " << place << " of " << text.size();
        }
}

TEST(Scan, KnowsWhatIsOfOneKindFromEndToEndAsTheBytewiseOneDoes) {
    const fenced_page page;
    for (std::size_t size = 0; size <= 34; ++size)
        for (const auto text : {page.first(size), page.last(size)}) {
            expect_the_same_of_all<byte_kind::host>(text);
            expect_the_same_of_all<byte_kind::path>(text);
            expect_the_same_of_all<byte_kind::plain>(text);
            expect_the_same_of_all<byte_kind::text>(text);
            expect_the_same_of_all<byte_kind::target>(text);
        }
}

TEST(Scan, KnowsBytesThatAreTheSame) {
    const fenced_page page, other;
    for (std::size_t size = 0; size <= 66; ++size) {
        const auto text = page.last(size), same = other.last(size);
        for (std::size_t nth = 0; nth < size; ++nth) text[nth] = same[nth] = static_cast<char>('a' + nth % 26);
        const std::string_view expected(text.data(), size);
        EXPECT_TRUE(scan::wide::are_same(same.data(), expected)) << size;
        EXPECT_TRUE(scan::bytewise::are_same(same.data(), expected)) << size;
        for (auto& byte : same)
            for (const char bit : {'\x01', ' ', '\x80'}) {
                byte = static_cast<char>(byte ^ bit);
                ASSERT_FALSE(scan::wide::are_same(same.data(), expected)) << &byte - same.data() << " of " << size;
                ASSERT_FALSE(scan::bytewise::are_same(same.data(), expected)) << &byte - same.data() << " of " << size;
                byte = static_cast<char>(byte ^ bit);
            }
    }
}

TEST(Scan, KnowsEachPairOfNeighboursAsTheBytewiseOneDoes) {
    std::array<char, 32> bytes{};
    const char* const begin = bytes.data();
    const char* const end = begin + bytes.size();
    for (int first = 0; first < 256; ++first)
        for (int second = 0; second < 256; ++second) {
            bytes.fill('a');
            bytes[7] = static_cast<char>(first);
            bytes[8] = static_cast<char>(second);
            const auto same = [&]<byte_kind Kind>() {
                return scan::wide::end_of<Kind>(begin, begin, end) == scan::bytewise::end_of<Kind>(begin, begin, end);
            };
            ASSERT_TRUE(same.operator()<byte_kind::token>()) << first << ' ' << second;
            ASSERT_TRUE(same.operator()<byte_kind::target>()) << first << ' ' << second;
            ASSERT_TRUE(same.operator()<byte_kind::text>()) << first << ' ' << second;
            ASSERT_TRUE(same.operator()<byte_kind::plain>()) << first << ' ' << second;
            ASSERT_TRUE(same.operator()<byte_kind::host>()) << first << ' ' << second;
            ASSERT_TRUE(same.operator()<byte_kind::path>()) << first << ' ' << second;
        }
}

}  // namespace
