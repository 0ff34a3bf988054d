#pragma once

#include <sys/mman.h>

#include <boost/intrusive/list.hpp>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace server {

/// Objects of one kind, side by side in pages of their own: what many of them have taken goes back to the kernel when
/// they have gone, and nothing that is made meanwhile lies between them. Only on one thread. Outlives its objects.
template <class T>
class slab {
public:
    slab() = default;
    slab(const slab&) = delete;
    slab& operator=(const slab&) = delete;
    ~slab() {
        assert(objects_ == 0 && "an object outlives its slab");
        with_room_.clear_and_dispose([](block* one) { give_back(one); });
    }

    /// Throws std::bad_alloc, or what the constructor does.
    template <class... Arguments>
    T& make(Arguments&&... arguments) {
        if (with_room_.empty()) with_room_.push_front(*fresh());
        auto& from = with_room_.front();
        void* const bytes = from.free != nullptr ? from.free : from.at(from.touched);
        place* const after = from.free != nullptr ? from.free->next : nullptr;
        T* made = nullptr;
        try {
            made = new (bytes) T(std::forward<Arguments>(arguments)...);
        } catch (...) {
            if (from.free != nullptr) from.free = new (bytes) place{after};
            throw;
        }
        if (from.free != nullptr)
            from.free = after;
        else
            ++from.touched;
        ++from.used;
        ++objects_;
        if (from.full()) with_room_.pop_front();
        return *made;
    }

    void destroy(T& one) noexcept {
        auto* const of = reinterpret_cast<block*>(reinterpret_cast<std::uintptr_t>(&one) & ~(block_size - 1));
        one.~T();
        const bool was_full = of->full();
        of->free = new (static_cast<void*>(&one)) place{of->free};
        --objects_;
        if (was_full) with_room_.push_back(*of);
        if (--of->used > 0 || &with_room_.front() == &with_room_.back()) return;  // one block is kept
        with_room_.erase(with_room_.iterator_to(*of));
        give_back(of);
    }

    std::size_t size() const noexcept { return objects_; }

private:
    static constexpr std::size_t block_size = 64 * 1024;  ///< and its alignment, by which an object finds its block

    struct place {
        place* next;
    };
    static constexpr std::size_t each = (sizeof(T) + alignof(T) - 1) / alignof(T) * alignof(T);
    struct block : boost::intrusive::list_base_hook<> {
        place* free = nullptr;    ///< places that have been used and are not
        std::size_t touched = 0;  ///< places that have ever been used: the pages of the others cost nothing yet
        std::size_t used = 0;
        bool full() const noexcept { return free == nullptr && touched == places; }
        void* at(std::size_t nth) noexcept { return reinterpret_cast<char*>(this) + header + nth * each; }
    };
    static constexpr std::size_t header =
        (sizeof(boost::intrusive::list_base_hook<>) + 3 * sizeof(void*) + alignof(T) - 1) / alignof(T) * alignof(T);
    static constexpr std::size_t places = (block_size - header) / each;
    static_assert(sizeof(T) >= sizeof(place) && alignof(T) >= alignof(place) && places >= 16);

    /// Twice as much is asked for, and what does not lie right is given back.
    static block* fresh() {
        void* const pages =
            ::mmap(nullptr, 2 * block_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) throw std::bad_alloc();
        auto* const begin = static_cast<char*>(pages);
        void* start = pages;
        auto space = 2 * block_size;
        auto* const aligned = static_cast<char*>(std::align(block_size, block_size, start, space));
        if (aligned > begin) ::munmap(begin, static_cast<std::size_t>(aligned - begin));
        const auto behind = static_cast<std::size_t>(begin + 2 * block_size - (aligned + block_size));
        if (behind > 0) ::munmap(aligned + block_size, behind);
        return new (aligned) block;
    }
    static void give_back(block* one) noexcept {
        one->~block();
        ::munmap(one, block_size);
    }

    boost::intrusive::list<block, boost::intrusive::constant_time_size<false>> with_room_;
    std::size_t objects_ = 0;
};

}  // namespace server
