#pragma once

#include <sys/epoll.h>

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace server {

/// All sockets of a loop in one level-triggered epoll set (epoll(7)), and with them what Asio waits for, as one
/// descriptor: an epoll set can be polled itself. Where Asio would wait, the loop waits for the set. One epoll_wait(2)
/// gives a batch, and each socket's owner is called: after what was posted before the bytes came, and before timers
/// that are due.
///
/// Lifetime: made with its loop, before anything else waits by its io_context, which it keeps running until `close`;
/// its owners leave it (`forget`) before it goes, and the io_context outlives it. Only on the loop's thread. It owns no
/// socket.
///
/// What not to do: leave a socket in the set that is ready and is neither read nor written, for it fires without end;
/// so an owner that does not want what has arrived must ask for nothing until it does. Close a socket before
/// `forget`. Throw out of `ready`. An owner may be destroyed in its own `ready` or in that of another: one that has
/// been forgotten is not called.
class poll_set {
public:
    enum class interest : std::uint8_t { none, read, write, both };
    enum class rest : std::uint8_t {
        unknown,  ///< there may be more, or it has not looked
        taken     ///< it has taken all that there was: a read has come back with less than it had room for
    };

    /// The owner of a socket.
    class watched {
    public:
        virtual ~watched() = default;
        /// There is something to read, room to write, or an error: the next call on the socket says which.
        virtual rest ready() noexcept = 0;
        interest wants() const noexcept { return wants_; }

    private:
        friend class poll_set;
        int descriptor_ = -1;
        interest wants_ = interest::none;
    };

    /// `after` is called after what a wake-up has brought. Throws std::system_error: there is no descriptor for it.
    explicit poll_set(
        boost::asio::io_context& on, std::function<void()> after = [] {});
    ~poll_set();
    poll_set(const poll_set&) = delete;
    poll_set& operator=(const poll_set&) = delete;

    /// What `owner` is called for from now on. Throws std::system_error when the kernel cannot watch one more; what is
    /// watched already can always be changed.
    void watch(int descriptor, watched& owner, interest wanted) {
        // Most calls: a connection stays in the set for reading, and asking again costs no system call.
        if (owner.wants_ != wanted) change(descriptor, owner, wanted);
    }
    /// `owner` is not called again. Its socket is to be closed next, and leaves the set by that; where a process that
    /// is being started still has a copy of it, it leaves later, and what it reports until then belongs to no owner.
    void forget(watched& owner) noexcept;

    /// Calls the owners of what is ready now. It comes by itself when something becomes ready; a loop does so now and
    /// then, so that what could not be waited for because memory had run out is not lost.
    /// True: there may be more.
    bool look() noexcept {
        find(0);
        return serve();
    }
    /// Owners are being called.
    bool looks() const noexcept { return looks_; }
    /// How many times it has looked.
    std::uint64_t turn() const noexcept { return turn_; }
    /// The loop has nothing to wait for any more.
    void close() noexcept;

private:
    static constexpr std::size_t batch_size = 256;
    static constexpr std::uint64_t of_asio = UINT64_MAX;  ///< no socket has that name

    /// What the kernel is told of a socket is its number and how many have had that number here: an owner's address
    /// might be another's by the time it is said again.
    struct place {
        watched* owner = nullptr;
        std::uint32_t generation = 0;
    };
    class in_reactor;

    void change(int descriptor, watched& owner, interest wanted);
    bool find(int milliseconds) noexcept;
    bool serve() noexcept;

    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> keeps_running_;
    const std::function<void()> after_;
    const int set_;
    std::array<epoll_event, batch_size> batch_;
    std::size_t found_ = 0;      ///< of it, to be served
    std::vector<place> places_;  ///< by descriptor
    std::uint64_t turn_ = 0;
    bool looks_ = false;
    std::unique_ptr<in_reactor> reactor_;  // last: Asio looks no more when the rest goes
};

}  // namespace server
