// What a program allocates with (C++20, [new.delete]): the library's other forms call these. Memory from malloc(3),
// which C libraries use and Asio for the frames of coroutines, is not seen.

#include <new>

#include "server/admin/heap/sampler.hpp"

namespace {

/// As [new.delete.single] 4 wants it: the new-handler may be able to make room.
template <class Try>
[[gnu::noinline]] void* until_there_is_memory(Try attempt) {
    for (;;) {
        if (auto* const block = attempt(); block != nullptr) return block;
        const auto make_room = std::get_new_handler();
        if (make_room == nullptr) throw std::bad_alloc();
        make_room();
    }
}

}  // namespace

void* operator new(std::size_t size) {
    const void* const caller = __builtin_return_address(0);
    auto* const block = server::heap::allocate(size, alignof(std::max_align_t), caller);
    if (block != nullptr) [[likely]]
        return block;
    return until_there_is_memory([=] { return server::heap::allocate(size, alignof(std::max_align_t), caller); });
}

void* operator new(std::size_t size, std::align_val_t alignment) {
    const void* const caller = __builtin_return_address(0);
    return until_there_is_memory(
        [=] { return server::heap::allocate(size, static_cast<std::size_t>(alignment), caller); });
}

void operator delete(void* block) noexcept { server::heap::release(block); }
void operator delete(void* block, std::size_t) noexcept { server::heap::release(block); }
void operator delete(void* block, std::align_val_t) noexcept { server::heap::release(block); }
