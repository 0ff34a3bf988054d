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

}  // namespace

/// In front of each block. As large as the strictest alignment.
struct alignas(std::max_align_t) memory::header {
    union {
        std::size_t size;  ///< of the block, without this
        header* next;      ///< while it is free
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

session_memory::~session_memory() { assert(pages_ == nullptr && "it outlives its session"); }

/// madvise(2): zeroes from here on, which is what an empty table is made of.
void session_memory::rest() noexcept {
    if (pages_ == nullptr) return;
    const auto from = table_is_empty() ? std::size_t{0} : table_size;
    ::madvise(pages_ + from, table_size + frame_room - from, MADV_DONTNEED);
}

bool session_memory::table_is_empty() const noexcept {
    return !has_table_ || (pages_[0] == 0 && std::memcmp(pages_, pages_ + 1, table_size - 1) == 0);
}

void* session_memory::on_pages(bool& taken, std::size_t from) noexcept {
    if (pages_ == nullptr) {
        void* const made =
            ::mmap(nullptr, table_size + frame_room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (made == MAP_FAILED) return nullptr;
        pages_ = static_cast<char*>(made);
    }
    taken = true;
    return pages_ + from;
}

void* session_memory::take(std::size_t size, void* self) {
    auto& of = *static_cast<session_memory*>(self);
    if (size == table_size && !of.has_table_) return of.on_pages(of.has_table_, 0);
    if (size >= 4 * page && size <= frame_room && !of.has_frame_) return of.on_pages(of.has_frame_, table_size);
    return of.from_.take(size);
}

void session_memory::give_back(void* block, void* self) {
    auto& of = *static_cast<session_memory*>(self);
    const auto is = [&](std::size_t at) { return of.pages_ != nullptr && block == of.pages_ + at; };
    if (is(0))
        of.has_table_ = false;
    else if (is(table_size))
        of.has_frame_ = false;
    else
        return of.from_.give_back(block);
    if (of.has_table_ || of.has_frame_) return;
    ::munmap(of.pages_, table_size + frame_room);
    of.pages_ = nullptr;
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
    const bool is_table = block == of.pages_, is_frame = of.pages_ != nullptr && block == of.pages_ + table_size;
    const auto before = is_table ? table_size : is_frame ? frame_room : (static_cast<memory::header*>(block) - 1)->size;
    void* const made = take(size, self);
    if (made == nullptr) return nullptr;
    std::memcpy(made, block, std::min(before, size));
    give_back(block, self);
    return made;
}

}  // namespace server::http2
