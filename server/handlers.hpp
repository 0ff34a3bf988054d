#pragma once

#include <cstdint>

#include "lifecycle/task_group.hpp"
#include "server/exchange.hpp"

namespace server {

/// What has asked a handler, and is told when it has returned.
class asker {
public:
    virtual ~asker() = default;
    /// The exchange has its reply, its piece, or what was thrown. Called inside what has run it; the asker may be
    /// destroyed in it.
    virtual void returned() noexcept = 0;
};

/// What is asked of it.
enum class asked : std::uint8_t {
    handler,      ///< an answer, and of one that is streamed its first piece
    first_piece,  ///< of the answer that a plain handler has given
    piece
};

/// The coroutines in which handlers run that may wait, and the sources of streamed answers. One is kept for the next
/// request when it has done with the last, so that asking costs no coroutine but the handler's own.
///
/// Only on the loop's thread. Outlives what it runs: the caller stays until it is told of the end.
class handlers {
public:
    explicit handlers(lifecycle::task_group& tasks) noexcept : tasks_(tasks) {}
    ~handlers();
    handlers(const handlers&) = delete;
    handlers& operator=(const handlers&) = delete;

    /// Runs it until it waits for the first time. True: it did not, and has returned. False: `whose` is told when it
    /// has. What it throws, and std::bad_alloc of the coroutine itself, is left in `of.thrown`.
    bool ask(asked what, exchange& of, const request& about, asker& whose);
    /// Nothing more will be asked: those that are kept end.
    void close() noexcept;

    /// Whether it is one of these coroutines.
    static bool is_runner(const lifecycle::task& task) noexcept;

private:
    class runner;
    static constexpr std::size_t most_kept = 64;

    runner& take();

    lifecycle::task_group& tasks_;
    runner* free_ = nullptr;  ///< the first of those that are kept
    std::size_t kept_ = 0;
    bool closed_ = false;
};

}  // namespace server
