#include "lifecycle/line_writer.hpp"

#include <poll.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <new>
#include <utility>

namespace lifecycle {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds nap{1};           // of the thread after a write: what comes meanwhile goes out together
constexpr milliseconds glance{20};       // how long it waits for room until it looks whether it is to end
constexpr milliseconds pause{100};       // after a write that failed
constexpr milliseconds last_while{50};   // of the destructor
constexpr std::size_t kept = 64 * 1024;  // of the buffer's memory, when it is empty

bool no_room(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == EINTR; }

bool room_within(int descriptor, milliseconds limit) {
    pollfd room{descriptor, POLLOUT, 0};
    return ::poll(&room, 1, static_cast<int>(limit.count())) > 0;
}

}  // namespace

struct line_writer::state {
    explicit state(int descriptor, outlet::how how) : to(descriptor, how) {
        if (to.waits()) copy.reserve(to.piece());
    }

    std::string_view waiting() const { return std::string_view(buffer).substr(gone); }
    std::string_view next_piece() const;
    bool write_piece();
    void wrote(ssize_t count);
    void write_all();
    void run(const std::stop_token& stop);
    void run_waiting(std::unique_lock<std::mutex>& lock);

    const outlet to;
    std::mutex mutex;  ///< never held in a call that may wait, once there is a thread
    std::condition_variable wake;
    std::condition_variable moved;
    std::string copy;           ///< of the piece that the thread writes: its memory is there before it is needed
    std::string buffer;         ///< lines; of the first, what is not out yet
    std::size_t gone = 0;       ///< of it, at the front
    std::uint64_t written = 0;  ///< bytes, ever
    bool begun = false;         ///< the line at the front is partly out
    int error = 0;              ///< of the last write; 0: it went well, or had no room
    bool threaded = false;
    bool busy = false;  ///< the thread is in a write, without the lock
    bool napping = false;
    bool ending = false;
    bool given_up = false;  ///< a `flush` has waited in vain
    workers own;
};

/// The rest of a line that has been begun, or as many lines as belong together, or one that is longer.
std::string_view line_writer::state::next_piece() const {
    const auto all = waiting();
    if (!begun) {
        if (all.size() <= to.piece()) return all;
        const auto last = all.rfind('\n', to.piece() - 1);
        if (last != all.npos) return all.substr(0, last + 1);
    }
    return all.substr(0, std::min(all.find('\n') + 1, to.longest()));
}

void line_writer::state::wrote(ssize_t count) {
    if (count < 0) {
        error = no_room(errno) ? 0 : errno;
        return;
    }
    error = 0;
    gone += static_cast<std::size_t>(count);
    written += static_cast<std::uint64_t>(count);
    if (count > 0) begun = buffer[gone - 1] != '\n';
    if (gone < buffer.size()) return;
    buffer.clear();
    gone = 0;
    if (buffer.capacity() > kept) buffer.shrink_to_fit();
}

/// False: no room, or an error.
bool line_writer::state::write_piece() {
    const auto count = to.write(next_piece());
    if (count < 0 && errno == EINTR) return true;
    wrote(count);
    return count > 0;
}

void line_writer::state::write_all() {
    while (!waiting().empty() && write_piece()) {}
}

/// On the thread, where a write may wait. The buffer only grows at its end meanwhile: a copy of the piece is written.
void line_writer::state::run_waiting(std::unique_lock<std::mutex>& lock) {
    try {
        copy = next_piece();
    } catch (const std::bad_alloc&) {  // a line that is longer than a piece: it waits for memory
        error = ENOMEM;
        return;
    }
    busy = true;
    lock.unlock();
    const auto count = room_within(to.descriptor(), glance) ? to.write(copy) : (errno = EAGAIN, -1);
    const int why = errno;
    lock.lock();
    busy = false;
    errno = why;
    wrote(count);
}

void line_writer::state::run(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    const auto ended = [&] { return stop.stop_requested() || ending; };
    while (!ended()) {
        wake.wait(lock, [&] { return ended() || !waiting().empty(); });
        if (ended()) return;
        if (to.waits()) {
            run_waiting(lock);
        } else {
            lock.unlock();
            room_within(to.descriptor(), glance);
            lock.lock();
            write_all();
        }
        moved.notify_all();
        napping = true;
        wake.wait_for(lock, error != 0 ? pause : nap, ended);
        napping = false;
    }
}

line_writer::line_writer(int descriptor, outlet::how how) : state_(std::make_shared<state>(descriptor, how)) {}

line_writer::~line_writer() {
    if (!state_->given_up) flush(last_while);
    if (!thread_.joinable()) return;
    const auto until = clock::now() + last_while;
    {
        std::unique_lock lock(state_->mutex);
        state_->ending = true;
        state_->wake.notify_all();
        while (state_->busy && clock::now() < until) state_->moved.wait_until(lock, until);
        if (!state_->busy) {
            lock.unlock();
            thread_.join();
            return;
        }
    }
    // It is in a write that no disk ends. The process ends under it; what it uses stays as long as that.
    static_cast<void>(new std::pair(std::move(state_), std::move(thread_)));
}

void line_writer::start(const std::string& name) {
    assert(!thread_.joinable());
    state_->threaded = true;
    thread_ = state_->own.start(name, "log", [state = state_.get()](const std::stop_token& stop) { state->run(stop); });
}

line_writer::taken line_writer::take(std::string_view lines, std::size_t most) {
    auto& s = *state_;
    const std::scoped_lock lock(s.mutex);
    const auto waiting = s.waiting().size();
    if (lines.size() + waiting > most) {
        const auto room = most - std::min(most, waiting);
        auto end = room == 0 ? lines.npos : lines.rfind('\n', room - 1);
        if (end == lines.npos && waiting == 0) end = lines.find('\n');
        lines = lines.substr(0, end == lines.npos ? 0 : end + 1);
    }
    if (!lines.empty()) {
        assert(lines.back() == '\n');
        if (s.gone > kept) s.buffer.erase(0, std::exchange(s.gone, 0));
        s.buffer += lines;
        // Where something waits already the thread waits for room: an attempt for each line would be a call for each.
        if (!s.threaded || (!s.to.waits() && waiting == 0)) s.write_all();
        if (!s.waiting().empty() && s.threaded && !s.napping && !s.busy) s.wake.notify_all();
    }
    return {lines.size(), s.written + s.waiting().size()};
}

line_writer::waited line_writer::wait(std::uint64_t until, milliseconds patience, clock::time_point latest) {
    auto& s = *state_;
    std::unique_lock lock(s.mutex);
    auto patient = clock::now() + patience;
    bool promised = false;  // poll(2) has said that there is room
    for (auto before = s.written;;) {
        if (!s.to.waits())
            s.write_all();
        else if (!s.threaded && room_within(s.to.descriptor(), milliseconds(0)))
            s.write_piece();
        if (s.written >= until) return {progress::written};
        if (s.error != 0) return {progress::failed, s.error};
        const bool idle = s.written == std::exchange(before, s.written);
        if (!idle) patient = clock::now() + patience;
        const auto left = std::chrono::ceil<milliseconds>(std::min(patient, latest) - clock::now());
        if (left <= milliseconds(0)) return {progress::stalled};
        if (s.to.waits() && s.threaded) {
            s.moved.wait_for(lock, left);
            continue;
        }
        lock.unlock();
        if (idle && promised) ::poll(nullptr, 0, 1);  // and there was none: a socket may be short of memory
        promised = room_within(s.to.descriptor(), left);
        lock.lock();
    }
}

bool line_writer::flush(milliseconds limit) {
    const bool all = wait(take({}).until, limit, clock::now() + limit).how == progress::written;
    const std::scoped_lock lock(state_->mutex);
    state_->given_up = !all;
    return all;
}

bool line_writer::leads_where(int descriptor) const noexcept { return state_->to.leads_where(descriptor); }

std::size_t line_writer::piece() const noexcept { return state_->to.piece(); }

}  // namespace lifecycle
