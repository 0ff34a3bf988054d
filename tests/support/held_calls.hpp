#pragma once

#include <linux/filter.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace support {

/// A file system that hangs: the calls of a program under test that go to files come here first (seccomp_unotify(2)),
/// and each goes on at once or is held. Works with a static program, needs no rights, and is exact: a call is held
/// before it has done anything, until its process ends; no handler of a signal runs meanwhile on its thread, as in a
/// call that waits for a disk (before Linux 5.19 one does, and the call comes again).
///
/// Outlives the process that is started with it. Safe from any thread.
class held_calls {
public:
    struct call {
        std::string name;  ///< "rename", "openat", …
        std::string path;  ///< of renames the new one; of descriptors what /proc says
    };

    /// `all`: also those that write at the end of a file, cut it, look at it, make and remove folders, and read them.
    /// They are many, and each that goes on has taken some tens of microseconds.
    explicit held_calls(bool all = false);
    ~held_calls();
    held_calls(const held_calls&) = delete;
    held_calls& operator=(const held_calls&) = delete;

    /// Why the kernel does not have it; empty when it does.
    static std::string unavailable();

    /// From now on, those for which this is true are held. It is asked on another thread.
    void hold(std::function<bool(const call&)> which);
    /// From now on, those for which this is not 0 fail at once, with this errno. It is asked on another thread.
    void fail(std::function<int(const call&)> how);
    /// Nothing is held from here on.
    void release();

    std::vector<call> seen() const;
    std::size_t held() const;

    /// For the code that starts the process. In the child, right before exec: only what signal-safety(7) allows.
    bool install_in_child() const;
    /// In the parent, once the child has been started.
    void listen();

private:
    void look_at_one();

    std::vector<sock_filter> filter_;
    int sockets_[2] = {-1, -1};
    int listener_ = -1;
    mutable std::mutex mutex_;
    std::function<bool(const call&)> which_;
    std::function<int(const call&)> fails_;
    std::vector<call> seen_;
    std::vector<std::uint64_t> held_;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

}  // namespace support
