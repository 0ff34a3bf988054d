#include "server/tls/record_buffers.hpp"

#include <malloc.h>
#include <openssl/crypto.h>

#include <array>
#include <cstddef>
#include <cstdlib>

namespace server::tls {
namespace {

// Of 3.0: 16,716 bytes to read with and 16,568 to write with; both fit where either has been.
constexpr std::size_t least = 16'384, size_of_all = 17'408;
constexpr std::size_t slack = 64;  // malloc(3) rounds up

/// Nothing in it has a destructor, so it can be looked at when its thread ends.
struct kept {
    std::array<void*, 2> buffers;
    std::size_t count;
    bool closed;
};
thread_local constinit kept mine{};

struct at_thread_end {
    ~at_thread_end() {
        mine.closed = true;
        while (mine.count > 0) std::free(mine.buffers[--mine.count]);
    }
};

bool keep(void* memory) noexcept {
    const auto size = ::malloc_usable_size(memory);
    if (size < size_of_all || size > size_of_all + slack || mine.closed || mine.count == mine.buffers.size())
        return false;
    thread_local const at_thread_end gives_back;
    mine.buffers[mine.count++] = memory;
    return true;
}

void* take(std::size_t size, const char*, int) {
    if (size == 0) return nullptr;
    if (size < least || size > size_of_all) return std::malloc(size);
    return mine.count > 0 ? mine.buffers[--mine.count] : std::malloc(size_of_all);
}

void give_back(void* memory, const char*, int) {
    if (memory != nullptr && !keep(memory)) std::free(memory);
}

void* change(void* memory, std::size_t size, const char* file, int line) {
    if (memory == nullptr) return take(size, file, line);
    if (size > 0) return std::realloc(memory, size);
    give_back(memory, file, line);
    return nullptr;
}

}  // namespace

void keep_record_buffers() noexcept { CRYPTO_set_mem_functions(take, change, give_back); }

}  // namespace server::tls
