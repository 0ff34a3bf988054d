#include "lifecycle/operation_memory.hpp"

#include <cassert>
#include <cstdlib>
#include <new>

namespace lifecycle {
namespace {

thread_local operation_memory* of_this_thread = nullptr;

/// How Asio marks a block, after what is used of it: how many chunks of this many bytes have room there.
constexpr std::size_t chunk = 4;
constexpr auto chunks = static_cast<unsigned char>(operation_memory::block / chunk);
static_assert(operation_memory::block % chunk == 0 && operation_memory::block / chunk < 256);

}  // namespace

operation_memory::operation_memory() {
    assert(of_this_thread == nullptr && "a thread has two reserves");
    if (!refill()) {
        give_up();
        throw std::bad_alloc();
    }
    of_this_thread = this;
}

operation_memory::~operation_memory() {
    of_this_thread = nullptr;
    give_up();
}

void operation_memory::give_up() noexcept {
    while (count_ > 0) std::free(kept_[--count_]);
}

bool operation_memory::refill() noexcept {
    while (count_ < blocks) {
        void* const fresh = std::aligned_alloc(alignof(std::max_align_t), block + alignof(std::max_align_t));
        if (fresh == nullptr) return false;
        kept_[count_++] = fresh;
    }
    return true;
}

void* operation_memory::take(std::size_t bytes) noexcept {
    auto* const from = of_this_thread;
    if (from == nullptr || from->count_ == 0 || bytes > block) return nullptr;
    void* const kept = from->kept_[--from->count_];
    static_cast<unsigned char*>(kept)[bytes] = chunks;
    return kept;
}

}  // namespace lifecycle
