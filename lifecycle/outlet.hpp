#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string_view>

namespace lifecycle {

/// A descriptor that others gave us and may share, such as 1 and 2, and how to write to it without waiting.
///
/// Whether a write waits is a flag of the *open file description*, which all its holders share: the shell, a twin of
/// ours. It is never changed here. A pipe, a FIFO and a terminal are opened a second time by /proc/self/fd, which gives
/// a description of our own; a socket takes MSG_DONTWAIT with each call. A disk file has no such mode (it waits for a
/// full or a hung disk), nor has what we may not open or an unknown device: for them `waits` is true. A file is not
/// opened again either: its offset is shared with the other writers.
///
/// Safe from any thread, but for two writes at once, which the kernel may mix.
class outlet {
public:
    /// What it is asked for is only looked at: `as_given` never opens anything, for tests of what cannot be opened.
    enum class how { without_waiting, as_given };

    /// `descriptor` stays its owner's, and open.
    explicit outlet(int descriptor, how how = how::without_waiting);
    ~outlet();
    outlet(const outlet&) = delete;
    outlet& operator=(const outlet&) = delete;

    /// True: `write` may block, and belongs on a thread of its own.
    bool waits() const noexcept { return waits_; }

    /// The most that one write should bring, in whole lines. PIPE_BUF for a pipe: no more than that is kept together
    /// against other processes (pipe(7)), and once poll(2) has found room it does not wait. So too for messages.
    std::size_t piece() const noexcept { return piece_; }

    /// The most of a line that is longer than a piece. A message has an end, and so has what can be written without
    /// waiting where only poll(2) says whether there is room.
    std::size_t longest() const noexcept { return whole_ ? piece_ : std::string_view::npos; }

    /// One system call. Returns what write(2) does, with errno.
    ssize_t write(std::string_view text) const noexcept;

    int descriptor() const noexcept { return own_ >= 0 ? own_ : given_; }

    /// Whether that descriptor leads to the same pipe, terminal, socket or file, by whichever description.
    bool leads_where(int other) const noexcept;

private:
    const int given_;
    int own_ = -1;
    bool socket_ = false;
    bool waits_ = true;
    bool whole_ = true;
    std::size_t piece_;
};

}  // namespace lifecycle
