#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "lifecycle/task_group.hpp"
#include "server/parked.hpp"
#include "server/rule.hpp"

namespace server {

/// What a read throws when the rest of a body will not come. If the handler does not catch it, the server answers in
/// its place: 408, 413, 400, or, in a stop, 503; if it does, it may answer itself, and the connection ends with that.
class body_failed : public std::runtime_error {
public:
    explicit body_failed(rule by, const char* why) : std::runtime_error(why), by_(by) {}
    /// `rule::none`: the client has gone.
    rule by() const noexcept { return by_; }

private:
    rule by_;
};

/// The body of a request whose route takes it as it arrives; see router::streamed. Only what is asked for is read from
/// the client: a handler that does not ask holds it up, by TCP's own means or by the windows of HTTP/2.
///
/// Belongs to its request, and lives as long. Only on the request's loop, one read at a time.
class request_body {
public:
    /// Waits for the next bytes and puts them at the front of `into`, which must not be empty; returns how many. 0:
    /// that was all. Throws body_failed. The end of the request's context also ends the wait. The first read is what
    /// tells a client that expects 100-continue to go on.
    lifecycle::awaitable<std::size_t> read(std::span<char> into);
    /// The length of the whole body, if the client has said it.
    std::optional<std::uint64_t> length() const noexcept { return length_; }
    /// All of it has been read.
    bool is_over() const noexcept { return over_ && here_.empty(); }

    // For the machine that feeds it.

    /// `here`: has come with the head.
    request_body(std::optional<std::uint64_t> length, std::string_view here, bool over) noexcept
        : length_(length), here_(here), over_(over), begun_(!here.empty()) {}
    request_body(const request_body&) = delete;
    request_body& operator=(const request_body&) = delete;

    /// Whether there is something without waiting, even if it is the end; then as much as fits goes to the front of
    /// `into`.
    bool has_some() const noexcept { return over_ || !here_.empty() || failed_; }
    std::size_t take(std::span<char> into);
    /// A reader waits for this much.
    void want(std::span<char> into) noexcept { wanted_ = into; }
    std::span<char> wanted() const noexcept { return wanted_; }
    /// What it waits for is there. The reader goes on by `go_on`, in which the handler may return.
    void came(std::size_t count, bool over) noexcept;
    void fail(rule by, const char* why) noexcept;
    void fail(rule by) noexcept;  ///< says why itself
    void go_on() { reader_.go_on(); }
    /// Of a machine that holds what has come until it is read: all that it holds now. `over`: nothing is after it.
    void hold(std::string_view here, bool over) noexcept;
    std::size_t given() noexcept { return std::exchange(given_, 0); }
    bool has_failed() const noexcept { return failed_; }
    rule failed_by() const noexcept { return failed_by_; }
    /// A reader has waited in vain for the first byte of it until the stop ended the wait.
    bool never_came() const noexcept { return failed_by_ == rule::drain && rate.asked && !begun_; }

    std::function<void()> wants;            ///< called when a reader waits
    std::function<void(std::size_t)> took;  ///< called with how much of what is held has been read; may be empty

    /// By how much the client may still be late, in this stretch of `body_timeout`, and what it has sent in that.
    struct pace {
        lifecycle::clock::time_point since{};
        lifecycle::clock::duration left{};
        std::uint64_t bytes = 0;
        bool asked = false;  ///< a reader has waited: a client that expects 100-continue has been told

        /// What has come in this stretch is enough for another one. `least`: bytes in a whole stretch.
        bool is_enough(std::uint64_t least) const noexcept { return bytes >= std::max<std::uint64_t>(1, least); }
        void renew(lifecycle::clock::time_point now, lifecycle::clock::duration stretch) noexcept {
            since = now;
            left = stretch;
            bytes = 0;
        }
        /// The client has brought what was waited for.
        void stop(lifecycle::clock::time_point now, lifecycle::clock::duration stretch, std::uint64_t least) noexcept {
            left -= std::min(left, now - since);
            if (left == lifecycle::clock::duration{} && is_enough(least)) renew(now, stretch);
        }
    } rate;

private:
    [[noreturn]] void throw_failure() const;

    std::optional<std::uint64_t> length_;
    std::string_view here_;   ///< has come and is not read
    std::span<char> wanted_;  ///< by the reader that waits
    std::size_t given_ = 0;   ///< ... and what that has got
    parked reader_;
    const char* why_ = "";
    rule failed_by_ = rule::none;
    bool failed_ = false;
    bool over_ = false;   ///< nothing is after `here_`
    bool begun_ = false;  ///< some of it has come
};

}  // namespace server
