#pragma once

#include <array>
#include <boost/asio/recycling_allocator.hpp>
#include <cstddef>
#include <new>

namespace lifecycle {

/// What a loop keeps back for the operations that its coroutines wait for.
///
/// A coroutine has given itself away when Asio makes the operation that it waits for. Without memory for that there is
/// no way back: Asio destroys the coroutine, for which it needs memory too, and without that the process aborts. So on
/// a loop that has one of these, an operation that finds no memory takes a block from here.
///
/// Made, used and destroyed on the thread of the loop. Throws std::bad_alloc when it cannot be filled.
class operation_memory {
public:
    static constexpr std::size_t block = 768;  ///< bytes of the largest operation that finds a place
    static constexpr std::size_t blocks = 128;

    operation_memory();
    ~operation_memory();
    operation_memory(const operation_memory&) = delete;
    operation_memory& operator=(const operation_memory&) = delete;

    /// Takes back what has been used, as far as there is memory again. True: all is there.
    bool refill() noexcept;

    /// From the reserve of the calling thread; nullptr when it has none, or no block that is large enough.
    static void* take(std::size_t bytes) noexcept;

private:
    void give_up() noexcept;

    std::array<void*, blocks> kept_;
    std::size_t count_ = 0;
};

/// As Asio's own, and from the reserve when there is no memory.
template <class T>
class operation_allocator {
    using usual = boost::asio::recycling_allocator<T>;

public:
    using value_type = T;

    operation_allocator() = default;
    template <class U>
    operation_allocator(const operation_allocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

    T* allocate(std::size_t n) {
        try {
            return usual().allocate(n);
        } catch (const std::bad_alloc&) {
            if (void* const kept = operation_memory::take(n * sizeof(T))) return static_cast<T*>(kept);
            throw;
        }
    }
    void deallocate(T* p, std::size_t n) noexcept { usual().deallocate(p, n); }

    bool operator==(const operation_allocator&) const noexcept { return true; }
};

template <>
class operation_allocator<void> {
public:
    using value_type = void;
    operation_allocator() = default;
    template <class U>
    operation_allocator(const operation_allocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)
    bool operator==(const operation_allocator&) const noexcept { return true; }
};

}  // namespace lifecycle
