#include "cmd/service/log.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <mutex>

#include "tracker/event.hpp"

namespace {

/// What came from outside may hold line ends and control codes: they must not look like lines of ours. Nor must a
/// reader of JSON choke on what is not UTF-8; Boost.JSON writes it as it is.
std::string printable(std::string_view text) {
    const bool utf8 = tracker::is_utf8(text);
    std::string out;
    out.reserve(text.size());
    const auto c1 = [&](std::size_t at) {
        return utf8 && at + 1 < text.size() && text[at] == '\xc2' && text[at + 1] < '\xa0';
    };
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        // U+0080 to U+009F are two bytes in UTF-8, and control codes to a terminal all the same (U+009B: CSI).
        if (byte < 0x20 || byte == 0x7f || (byte > 0x7f && !utf8) || c1(at) || (at > 0 && c1(at - 1)))
            fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
        else
            out += text[at];
    }
    return out;
}

class never_blocking_sink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    never_blocking_sink(bool json, std::shared_ptr<std::atomic<std::uint64_t>> dropped)
        : json_(json), dropped_(std::move(dropped)) {}

private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        const auto level = spdlog::level::to_string_view(message.level);
        const auto lost = dropped_->load();
        if (lost > told_ && write(line(message.time, "warning",
                                       fmt::format("{} log lines were dropped so far: nobody reads stderr", lost))))
            told_ = lost;
        if (!write(line(message.time, {level.data(), level.size()}, {message.payload.data(), message.payload.size()})))
            dropped_->fetch_add(1);
    }
    void flush_() override {}

    std::string line(spdlog::log_clock::time_point time, std::string_view level, std::string_view text) const {
        const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
        const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(time - seconds).count();
        const auto stamp = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), millis);
        if (!json_) return fmt::format("{} {:<8} {}\n", stamp, level, printable(text));
        const boost::json::object object{{"time", stamp}, {"level", level}, {"message", printable(text)}};
        return boost::json::serialize(object) + '\n';
    }

    /// poll(2) says that PIPE_BUF bytes fit, and a write of no more than that does not block (pipe(7)).
    static bool write(std::string_view text) {
        while (!text.empty()) {
            pollfd to{STDERR_FILENO, POLLOUT, 0};
            if (::poll(&to, 1, 0) <= 0 || (to.revents & POLLOUT) == 0) return false;
            const auto count = ::write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
            if (count <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(count));
        }
        return true;
    }

    const bool json_;
    std::shared_ptr<std::atomic<std::uint64_t>> dropped_;
    std::uint64_t told_ = 0;
};

}  // namespace

process_log make_log(const configs::log_options& options) {
    auto dropped = std::make_shared<std::atomic<std::uint64_t>>(0);
    auto sink = std::make_shared<never_blocking_sink>(options.format == "json", dropped);
    auto logger = std::make_shared<spdlog::logger>("service", std::move(sink));
    logger->set_level(spdlog::level::from_str(options.level));
    return {std::move(logger), std::move(dropped)};
}
