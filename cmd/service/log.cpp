#include "cmd/service/log.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/sink.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>

#include "cmd/service/log_format.hpp"

namespace {

// Of what main has left when all parts have ended, which may be 90 ms until the kernel ends the process.
constexpr std::chrono::milliseconds patience_at_the_end{50};

/// Counts what has found no room, and says so with the next line that does.
class line_sink final : public spdlog::sinks::sink {
public:
    line_sink(log_format::style how, std::shared_ptr<lifecycle::line_writer> to) : format_(how), to_(std::move(to)) {}

    void log(const spdlog::details::log_msg& message) override {
        const auto level = spdlog::level::to_string_view(message.level);
        std::string line;
        format_.append(line, message.time, {level.data(), level.size()},
                       {message.payload.data(), message.payload.size()}, lifecycle::facts_of_this_line());
        write(line);
    }
    void flush() override { to_->flush(patience_at_the_end); }
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

    /// Whole lines.
    void write(std::string_view lines) {
        if (dropped->load(std::memory_order_relaxed) > told_.load(std::memory_order_relaxed)) tell();
        // Whole lines go in or none of a line: what has no room is counted, for a log that blocks would stop the
        // service.
        lines.remove_prefix(to_->take(lines).bytes);
        if (!lines.empty())
            dropped->fetch_add(static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n')));
    }

    const log_format& format() const noexcept { return format_; }

    const std::shared_ptr<std::atomic<std::uint64_t>> dropped = std::make_shared<std::atomic<std::uint64_t>>(0);

private:
    void tell() {
        const std::scoped_lock lock(telling_);
        const auto lost = dropped->load();
        // Another thread may have said so while this one waited for the lock.
        if (lost <= told_) return;
        std::string line;
        const std::array facts{lifecycle::log_fact("lines", lost)};
        format_.append(line, std::chrono::system_clock::now(), "warning",
                       fmt::format("{} log lines were dropped so far: nobody reads stderr", lost), {facts, {}});
        if (to_->take(line).bytes > 0) told_ = lost;
    }

    const log_format format_;
    const std::shared_ptr<lifecycle::line_writer> to_;
    std::mutex telling_;
    std::atomic<std::uint64_t> told_{0};
};

class access_lines final : public server::access_log {
public:
    access_lines(std::shared_ptr<spdlog::logger> log, std::shared_ptr<line_sink> to)
        : log_(std::move(log)), to_(std::move(to)) {}

    bool wanted() const override { return log_->should_log(spdlog::level::info); }
    bool wants_facts() const override { return to_->format().json(); }
    void append(std::string& lines, std::chrono::system_clock::time_point time, std::string_view text,
                std::span<const lifecycle::log_fact> facts) const override {
        to_->format().append(lines, time, "info", text, {facts, {}});
    }
    void write(std::string_view lines) override { to_->write(lines); }

private:
    const std::shared_ptr<spdlog::logger> log_;
    const std::shared_ptr<line_sink> to_;
};

}  // namespace

void process_log::start() const {
    errors->start("log");
    if (output && output != errors) output->start("stdout");
}

process_log make_log(const configs::config& config) {
    process_log made;
    made.errors = std::make_shared<lifecycle::line_writer>(STDERR_FILENO);
    const auto& sinks = config.tracker.sinks;
    if (std::find(sinks.begin(), sinks.end(), "stdout") != sinks.end())
        made.output = made.errors->leads_where(STDOUT_FILENO) ? made.errors
                                                              : std::make_shared<lifecycle::line_writer>(STDOUT_FILENO);
    const log_format::style how{.json = config.log.format == "json",
                                .journal = leads_to_journal(STDERR_FILENO, std::getenv("JOURNAL_STREAM"))};
    auto to = std::make_shared<line_sink>(how, made.errors);
    made.dropped = to->dropped;
    made.logger = std::make_shared<spdlog::logger>("service", to);
    made.logger->set_level(spdlog::level::from_str(config.log.level));
    // No memory for a line, most likely. Else spdlog writes to stderr by itself, and waits for it.
    made.logger->set_error_handler([dropped = to->dropped](const std::string&) { dropped->fetch_add(1); });
    made.access = std::make_shared<access_lines>(made.logger, std::move(to));
    return made;
}
