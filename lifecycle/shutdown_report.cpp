#include "lifecycle/shutdown_report.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

namespace lifecycle {

std::string shutdown_report::to_json() const {
    namespace json = boost::json;
    json::array phase_list;
    for (const auto& phase : phases)
        phase_list.push_back(
            {{"name", phase.name}, {"budget_ms", phase.allowed.count()}, {"used_ms", phase.used.count()}});
    json::object dropped;
    for (const auto& [reason, count] : events.dropped) dropped[reason] = count;
    json::array late;
    for (const auto& one : stragglers)
        late.push_back({{"name", one.name}, {"kind", one.kind}, {"age_ms", one.age.count()}, {"where", one.where}});

    const auto seconds = std::chrono::floor<std::chrono::seconds>(started);
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(started - seconds).count();
    const json::object report{{"cause", cause},
                              {"exit_code", exit_code},
                              {"started", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), millis)},
                              {"duration_ms", duration.count()},
                              {"phases", std::move(phase_list)},
                              {"connections",
                               {{"open_at_stop", connections.open_at_stop},
                                {"accepted_after", connections.accepted_after},
                                {"closed_idle", connections.closed_idle},
                                {"finished", connections.finished},
                                {"forced", connections.forced}}},
                              {"requests",
                               {{"in_flight_at_stop", requests.in_flight_at_stop},
                                {"begun_after", requests.begun_after},
                                {"finished", requests.finished},
                                {"cut", requests.cut},
                                {"gone", requests.gone}}},
                              {"events",
                               {{"accepted", events.accepted},
                                {"recovered", events.recovered},
                                {"delivered", events.delivered},
                                {"spooled", events.spooled},
                                {"dropped", std::move(dropped)}}},
                              {"stragglers", std::move(late)},
                              {"workers_left", workers_left},
                              {"threads_left", threads_left ? json::value(*threads_left) : json::value(nullptr)}};
    return json::serialize(report);
}

std::string report_file::open(const std::string& path) {
    if (path.empty() || descriptor_ >= 0) return {};
    path_ = path;
    temporary_ = fmt::format("{}.{}.tmp", path, ::getpid());
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor_ >= 0) return {};
    return fmt::format("cannot open {}: {}", temporary_, std::strerror(errno));
}

std::string report_file::write(const std::string& json) {
    if (descriptor_ < 0) return {};
    const std::string text = json + '\n';
    for (std::size_t at = 0; at < text.size();) {
        const auto count = ::write(descriptor_, text.data() + at, text.size() - at);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return fmt::format("cannot write {}: {}", temporary_, std::strerror(errno));
        at += static_cast<std::size_t>(count);
    }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0)
        return fmt::format("cannot rename to {}: {}", path_, std::strerror(errno));
    temporary_.clear();
    return {};
}

report_file::~report_file() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

}  // namespace lifecycle
