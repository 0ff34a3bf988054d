#pragma once

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/intrusive/set.hpp>

#include "lifecycle/context.hpp"
#include "lifecycle/task_group.hpp"

namespace lifecycle {

/// What sleeps on a loop until a time. Not destroyed while it is among the others.
class sleeper : public boost::intrusive::set_base_hook<> {
public:
    sleeper() = default;
    sleeper(const sleeper&) = delete;
    sleeper& operator=(const sleeper&) = delete;

    /// It wakes up, in a turn of its loop that has begun at `now`. It may be no more when either of these returns, and
    /// is not among the others any longer when they are called.
    virtual void go_on(clock::time_point now) = 0;
    /// Its loop has ended.
    virtual void drop() = 0;
    /// It is the next that wakes up. What it will touch may come out of memory while the one before it is awake.
    virtual void prepare() const noexcept {}

    clock::time_point due{};  ///< not changed while it is among the others

protected:
    ~sleeper() = default;
};

/// All that sleeps on a loop, in the order in which it wakes up, behind one timer of Asio's.
///
/// With a timer each they would be in Asio's heap of timers, where one that leaves moves a dozen others and writes to
/// each. Of thousands of sleepers none is in a cache, so that was a large part of what an event of a stream cost. Here
/// one that wakes up after all others, as most do, finds its place without a look at them.
///
/// A service of its io_context, which makes it for the first that sleeps. Only on the loop's thread. For a sleeper it
/// allocates nothing.
class sleepers final : public boost::asio::execution_context::service {
public:
    inline static boost::asio::execution_context::id id;  // by which Asio finds it

    explicit sleepers(boost::asio::io_context& on) : service(on), timer_(on) {}
    static sleepers& of(executor on) { return boost::asio::use_service<sleepers>(on.context()); }

    /// It wakes up when it is due, and not inside of this.
    void add(sleeper& fresh) noexcept;
    /// It is the next that wakes up, in another turn of the loop or later in this one.
    void hurry(sleeper& which) noexcept;
    /// It sleeps no longer, and is told nothing.
    void remove(sleeper& which) noexcept;

private:
    void shutdown() override;
    void arm() noexcept;
    void look();

    struct earlier {
        bool operator()(const sleeper& left, const sleeper& right) const noexcept { return left.due < right.due; }
    };
    boost::intrusive::multiset<sleeper, boost::intrusive::compare<earlier>, boost::intrusive::constant_time_size<false>>
        all_;
    loop_timer timer_;
    bool armed_ = false;  // it waits, or has waited and is about to say so
    clock::time_point armed_until_{};
    clock::time_point looked_at_ = clock::time_point::min();
    bool looks_ = false;
};

}  // namespace lifecycle
