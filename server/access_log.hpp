#pragma once

#include <spdlog/logger.h>

#include <string>
#include <string_view>

namespace server {

/// Where a server's access log goes. Each loop collects the lines of a turn and hands them over at once.
/// Never blocks. Safe from any thread.
class access_log {
public:
    virtual ~access_log() = default;
    virtual bool wanted() const = 0;  ///< no line is made otherwise

    /// Appends to `lines` one that says `text` and that it was now.
    virtual void append(std::string& lines, std::string_view text) const = 0;
    /// Takes lines that `append` has made.
    virtual void write(std::string_view lines) = 0;
};

/// To a log, line by line: for a server that has been given nothing else.
class access_to_logger final : public access_log {
public:
    explicit access_to_logger(spdlog::logger& log) : log_(log) {}
    bool wanted() const override { return log_.should_log(spdlog::level::info); }
    void append(std::string& lines, std::string_view text) const override { (lines += text) += '\n'; }
    void write(std::string_view lines) override {
        for (; !lines.empty(); lines.remove_prefix(lines.find('\n') + 1))
            log_.log(spdlog::level::info, spdlog::string_view_t(lines.data(), lines.find('\n')));
    }

private:
    spdlog::logger& log_;
};

/// The lines of a turn of a loop, which go out in one write. Only on the loop's thread.
class access_lines {
public:
    /// True: it is the first since `write`. A line for which there is no memory is lost.
    bool add(const access_log& log, std::string_view text) noexcept;
    void write(access_log& log) noexcept;

private:
    std::string lines_;
};

}  // namespace server
