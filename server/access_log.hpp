#pragma once

#include <spdlog/logger.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "lifecycle/context.hpp"
#include "lifecycle/lines.hpp"
#include "server/net/socket_address.hpp"

namespace server {

/// Where a server's access log goes. Each loop collects the lines of a turn and hands them over at once.
/// Never blocks. Safe from any thread.
class access_log {
public:
    virtual ~access_log() = default;
    virtual bool wanted() const = 0;                    ///< no line is made otherwise
    virtual bool wants_facts() const { return false; }  ///< beside a word, and not a sentence that has all of them

    /// Appends to `lines` one that says `text`, that it was at `time` and, where they are wanted, the facts.
    virtual void append(std::string& lines, std::chrono::system_clock::time_point time, std::string_view text,
                        std::span<const lifecycle::log_fact> facts) const = 0;
    /// Takes lines that `append` has made.
    virtual void write(std::string_view lines) = 0;
};

/// To a log, line by line: the default of a server.
class access_to_logger final : public access_log {
public:
    explicit access_to_logger(spdlog::logger& log) : log_(log) {}
    bool wanted() const override { return log_.should_log(spdlog::level::info); }
    void append(std::string& lines, std::chrono::system_clock::time_point, std::string_view text,
                std::span<const lifecycle::log_fact>) const override {
        (lines += text) += '\n';
    }
    void write(std::string_view lines) override {
        for (; !lines.empty(); lines.remove_prefix(lines.find('\n') + 1))
            log_.log(spdlog::level::info, spdlog::string_view_t(lines.data(), lines.find('\n')));
    }

private:
    spdlog::logger& log_;
};

/// Bytes of an address as text, at most: of IPv6 with the name of an interface.
inline constexpr std::size_t longest_address = 64;
/// Writes it where there is room for it, without the port: "192.0.2.1", "2001:db8::1", "unix". The place after it.
char* put_address(char* at, const socket_address& address);

/// What one line says, put together piece by piece: a format string would cost more than the request. On the stack, but
/// for a long target.
class line_text {
public:
    line_text() = default;
    line_text(const line_text&) = delete;
    line_text& operator=(const line_text&) = delete;

    /// A place for that many bytes more. What has been put there ends where `end` says.
    char* room(std::size_t most) {
        if (most > static_cast<std::size_t>(end_ - at_)) grow(most);
        return at_;
    }
    void end(char* at) noexcept { at_ = at; }

    std::string_view view() const noexcept { return {begin_, at_}; }

private:
    void grow(std::size_t by);

    std::array<char, 512> usual_;
    std::string larger_;
    char* begin_ = usual_.data();
    char* at_ = begin_;
    char* end_ = begin_ + usual_.size();
};

/// The lines of a turn of a loop, which go out in one write. Only on the loop's thread.
class access_lines {
public:
    /// How far the wall clock is ahead of the steady one: lines have their time by that until this is called again, for
    /// the loop has read the steady clock already.
    void compare_clocks() noexcept;
    /// True: it is the first since `write`. A line for which there is no memory is lost.
    bool add(const access_log& log, lifecycle::clock::time_point when, std::string_view text,
             std::span<const lifecycle::log_fact> facts = {}) noexcept;
    void write(access_log& log) noexcept {
        if (!lines_.empty()) write_some(log);
    }

private:
    void write_some(access_log& log) noexcept;

    lifecycle::clock::duration wall_is_ahead_{};
    std::string lines_;
};

}  // namespace server
