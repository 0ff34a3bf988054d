#include "server/http2/memory.hpp"

#include <sys/mman.h>

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

namespace server::http2 {
namespace {

constexpr std::size_t smallest = 64;
constexpr std::size_t page = 4096;

}  // namespace

/// In front of each block. As large as the strictest alignment.
struct alignas(std::max_align_t) memory::header {
    std::size_t size;   ///< of the block, without this
    std::uint32_t nth;  ///< class, or one of those below
    header* next;       ///< while nobody has it

    static constexpr std::uint32_t by_malloc = 100, by_pages = 101;
};

memory::~memory() {
    for (auto* one : free_)
        while (one != nullptr) std::free(std::exchange(one, one->next));
}

void* memory::take(std::size_t size) noexcept {
    if (size > std::numeric_limits<std::size_t>::max() / 2) return nullptr;
    const auto whole = std::max(std::bit_ceil(size + sizeof(header)), smallest);
    const auto nth = static_cast<std::size_t>(std::countr_zero(whole / smallest));
    header* made = nullptr;
    if (nth < classes && free_[nth] != nullptr) {
        made = std::exchange(free_[nth], free_[nth]->next);
        kept_[nth] -= whole;
    } else if (size >= 4 * page) {
        void* const pages =
            ::mmap(nullptr, size + sizeof(header), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) return nullptr;
        made = static_cast<header*>(pages);
        made->nth = header::by_pages;
    } else {
        made = static_cast<header*>(std::malloc(nth < classes ? whole : size + sizeof(header)));
        if (made == nullptr) return nullptr;
        made->nth = nth < classes ? static_cast<std::uint32_t>(nth) : header::by_malloc;
    }
    made->size = size;
    return made + 1;
}

void memory::give_back(void* block) noexcept {
    if (block == nullptr) return;
    auto* const one = static_cast<header*>(block) - 1;
    const auto nth = one->nth;
    if (nth == header::by_pages) {
        ::munmap(one, one->size + sizeof(header));
        return;
    }
    const auto whole = smallest << (nth < classes ? nth : 0);
    if (nth >= classes || kept_[nth] + whole > most_kept) return std::free(one);
    kept_[nth] += whole;
    one->next = std::exchange(free_[nth], one);
}

session_memory::session_memory(memory& from) noexcept
    : from_(from),
      hooks_{.mem_user_data = this, .malloc = take, .free = give_back, .calloc = take_zeroed, .realloc = grow} {}

void session_memory::rest() noexcept {
    if (frame_ == nullptr) return;
    auto* const first = static_cast<char*>(frame_) - sizeof(memory::header) + page;  // the first has the header
    ::madvise(first, 3 * page, MADV_DONTNEED);                                       // madvise(2): zeroes from here on
}

void* session_memory::take(std::size_t size, void* self) {
    auto& of = *static_cast<session_memory*>(self);
    void* const made = of.from_.take(size);
    if (size >= 4 * page && of.frame_ == nullptr) of.frame_ = made;
    return made;
}

void session_memory::give_back(void* block, void* self) {
    auto& of = *static_cast<session_memory*>(self);
    if (block == of.frame_) of.frame_ = nullptr;
    of.from_.give_back(block);
}

void* session_memory::take_zeroed(std::size_t number, std::size_t size, void* self) {
    if (size != 0 && number > std::numeric_limits<std::size_t>::max() / size) return nullptr;
    void* const made = take(number * size, self);
    if (made != nullptr) std::memset(made, 0, number * size);
    return made;
}

void* session_memory::grow(void* block, std::size_t size, void* self) {
    if (block == nullptr) return take(size, self);
    const auto before = (static_cast<memory::header*>(block) - 1)->size;
    void* const made = take(size, self);
    if (made == nullptr) return nullptr;
    std::memcpy(made, block, std::min(before, size));
    give_back(block, self);
    return made;
}

}  // namespace server::http2
