#pragma once

#include <poll.h>
#include <signal.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/simulator/kernel.hpp"

namespace simulator {

class epoll_set;

/// What a descriptor leads to. Its readiness is level; a thread that waits is woken when something changes.
class description : public std::enable_shared_from_this<description> {
public:
    description() = default;
    virtual ~description() = default;
    description(const description&) = delete;
    description& operator=(const description&) = delete;

    virtual short ready() const { return 0; }  ///< as poll(2) has it
    /// No descriptor leads here any more.
    virtual void closed() {}

    virtual long read(void*, std::size_t) { return fail(EBADF); }
    virtual long write(const void*, std::size_t) { return fail(EBADF); }

    void changed();
    /// A set that has it by that number.
    void watch(const std::shared_ptr<epoll_set>& by, int number);
    /// No set has it any more.
    void unwatch();
    std::uint64_t version() const noexcept { return version_; }

    static long fail(int error) {
        errno = error;
        return -1;
    }

    int references = 0;
    bool non_blocking = false;

private:
    std::uint64_t version_ = 1;
    std::vector<std::pair<std::weak_ptr<epoll_set>, int>> watchers_;
};
using description_ptr = std::shared_ptr<description>;

class event_counter final : public description {
public:
    explicit event_counter(std::uint64_t first) : count_(first) {}
    short ready() const override { return static_cast<short>(POLLOUT | (count_ > 0 ? POLLIN : 0)); }
    long read(void* into, std::size_t size) override;
    long write(const void* from, std::size_t size) override;

private:
    std::uint64_t count_;
};

class timer_descriptor final : public description {
public:
    short ready() const override { return expired_ > 0 ? POLLIN : 0; }
    long read(void* into, std::size_t size) override;
    void set(nanoseconds when);  ///< max(): not at all

private:
    std::uint64_t expired_ = 0, generation_ = 0;
};

class epoll_set final : public description {
public:
    short ready() const override;
    int control(int operation, int number, const description_ptr& what, std::uint32_t events, std::uint64_t data);
    void forget(int number, const description& gone);
    /// Something about that one has changed.
    void touched(int number);
    /// Up to `most`, in an order of chance.
    std::vector<std::pair<std::uint32_t, std::uint64_t>> take(std::size_t most);

private:
    struct registration {
        std::weak_ptr<description> what;
        std::uint32_t events = 0;
        std::uint64_t data = 0;
        std::uint64_t seen = 0;  ///< version that an edge-triggered one has told; 0: none
        bool listed = false;
    };
    static std::uint32_t found(const registration& of);
    bool list(int number, registration& of);
    std::unordered_map<int, registration> all_;
    std::vector<int> lately_;  ///< of which something may be told; of no other
};

/// Signals of a process, and a descriptor that reads them.
class signal_descriptor final : public description {
public:
    signal_descriptor(process& of, const sigset_t& which) : of_(of), which_(which) {}
    short ready() const override;
    long read(void* into, std::size_t size) override;

private:
    process& of_;
    const sigset_t which_;
};

/// One direction of pipe(2), of a few bytes.
class pipe_end final : public description {
public:
    struct shared {
        std::string bytes;
        std::weak_ptr<pipe_end> reader;
        bool closed = false;  ///< by all that write
    };
    explicit pipe_end(std::shared_ptr<shared> of, bool reads) : of_(std::move(of)), reads_(reads) {}
    short ready() const override;
    long read(void* into, std::size_t size) override;
    long write(const void* from, std::size_t size) override;
    void closed() override;

private:
    const std::shared_ptr<shared> of_;
    const bool reads_;
};

/// Where lines go that people read; the world keeps them.
class log_descriptor final : public description {
public:
    explicit log_descriptor(std::string& into) : into_(into) {}
    short ready() const override { return POLLOUT; }
    long write(const void* from, std::size_t size) override {
        into_.append(static_cast<const char*>(from), size);
        return static_cast<long>(size);
    }

private:
    std::string& into_;
};

/// Where systemd hears what it is told; the manager takes its time.
class notify_descriptor final : public description {
public:
    short ready() const override { return POLLOUT; }
};

/// A simulated process: descriptors, signals, timers, and how it ended.
class process {
public:
    explicit process(kernel& on, std::string& log);
    ~process();
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    /// Runs `program` on its main thread; what that returns is the exit code.
    void begin(std::function<int()> program);

    int open(description_ptr what);  ///< the lowest descriptor that is free
    description_ptr find(int number) const;
    int close(int number);
    int duplicate(int number, int least);

    void send(int signal);
    int take_signal(const sigset_t& of);  ///< 0: none
    bool has_signal(const sigset_t& of) const noexcept;
    /// Those that wait although they are not blocked: a thread can take them now.
    void deliver_pending();
    void end(int code, int by_signal = 0);  ///< from one of its own fibers it does not return
    void freeze(nanoseconds length);

    int make_timer(int signal, int value);
    void set_timer(int id, nanoseconds when);
    nanoseconds timer_left(int id) const;

    kernel& on;
    pid_t number = 42;
    bool over = false;
    bool frozen = false;
    nanoseconds frozen_in_all{0};
    int code = 0, killed_by = 0;
    nanoseconds ended_at{0};
    std::vector<std::string> living_at_end;  ///< names of the threads but the main one
    sigset_t blocked{};
    std::map<int, struct sigaction> actions;
    bool has_signal_descriptor = false;
    std::vector<std::weak_ptr<description>> signal_descriptors;
    /// How many of the next allocations of its loops fail, after how many; see calls_memory.cpp.
    std::uint64_t allocations_left = 0, allocations_fail = 0;
    bool first_loop_only = false;    ///< on which the listener is
    std::uint64_t threads_fail = 0;  ///< pthread_create, the next ones

private:
    struct timer {
        int signal, value;
        nanoseconds when{nanoseconds::max()};
        std::uint64_t generation = 0;
    };
    void deliver(int signal, int value, bool by_timer);
    void release(const description_ptr& what);

    std::vector<description_ptr> descriptors_;
    std::set<int> free_;  ///< numbers below the highest
    fiber* main_ = nullptr;
    std::deque<int> pending_;
    std::map<int, timer> timers_;
    int last_timer_ = 0;
};

}  // namespace simulator
