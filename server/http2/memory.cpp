#include "server/http2/memory.hpp"

#include <sys/mman.h>

#include <bit>
#include <cassert>
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
    union {
        std::size_t size;  ///< of the block, without this
        header* next;      ///< while nobody has it
    };
    std::uint32_t nth;  ///< class, or none

    static constexpr std::uint32_t by_malloc = 100;
};

memory::~memory() {
    for (auto* block : free_)
        while (block != nullptr) std::free(std::exchange(block, block->next));
}

void* memory::take(std::size_t size) noexcept {
    if (size > std::numeric_limits<std::size_t>::max() / 2) return nullptr;
    const auto whole = std::max(std::bit_ceil(size + sizeof(header)), smallest);
    const auto nth = static_cast<std::size_t>(std::countr_zero(whole / smallest));
    header* made = nullptr;
    if (nth < classes && free_[nth] != nullptr) {
        made = std::exchange(free_[nth], free_[nth]->next);
        kept_[nth] -= whole;
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
    auto* const head = static_cast<header*>(block) - 1;
    const auto nth = head->nth;
    const auto whole = smallest << (nth < classes ? nth : 0);
    if (nth >= classes || kept_[nth] + whole > most_kept) return std::free(head);
    kept_[nth] += whole;
    head->next = std::exchange(free_[nth], head);
}

session_memory::session_memory(memory& from) noexcept
    : from_(from),
      hooks_{.mem_user_data = this, .malloc = take, .free = give_back, .calloc = take_zeroed, .realloc = grow} {}

session_memory::~session_memory() { assert(frame_ == nullptr && "it outlives its session"); }

void session_memory::rest() noexcept {
    if (frame_ != nullptr) ::madvise(frame_, frame_size_, MADV_DONTNEED);  // madvise(2): zeroes from here on
}

void* session_memory::take(std::size_t size, void* self) {
    auto& of = *static_cast<session_memory*>(self);
    if (size < 4 * page || of.frame_ != nullptr) return of.from_.take(size);
    void* const pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
    of.frame_ = pages;
    of.frame_size_ = size;
    return pages;
}

void session_memory::give_back(void* block, void* self) {
    auto& of = *static_cast<session_memory*>(self);
    if (block == nullptr || block != of.frame_) return of.from_.give_back(block);
    ::munmap(block, of.frame_size_);
    of.frame_ = nullptr;
}

void* session_memory::take_zeroed(std::size_t number, std::size_t size, void* self) {
    if (size != 0 && number > std::numeric_limits<std::size_t>::max() / size) return nullptr;
    void* const made = take(number * size, self);
    if (made != nullptr) std::memset(made, 0, number * size);
    return made;
}

void* session_memory::grow(void* block, std::size_t size, void* self) {
    if (block == nullptr) return take(size, self);
    const auto& of = *static_cast<session_memory*>(self);
    const auto before = block == of.frame_ ? of.frame_size_ : (static_cast<memory::header*>(block) - 1)->size;
    void* const made = take(size, self);
    if (made == nullptr) return nullptr;
    std::memcpy(made, block, std::min(before, size));
    give_back(block, self);
    return made;
}

}  // namespace server::http2
