#include "server/metrics.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace server {

void histogram::observe(std::chrono::nanoseconds duration) noexcept {
    const double seconds = std::chrono::duration<double>(duration).count();
    std::size_t at = 0;
    while (at < bounds.size() && seconds > bounds[at]) ++at;
    counts_[at].add();
    nanoseconds_.add(static_cast<std::uint64_t>(duration.count()));
}

void histogram::values::operator+=(const histogram& from) noexcept {
    for (std::size_t at = 0; at < counts.size(); ++at) counts[at] += from.counts_[at].get();
    sum += static_cast<double>(from.nanoseconds_.get()) / 1e9;
}

std::uint64_t histogram::values::count() const noexcept {
    std::uint64_t all = 0;
    for (const auto one : counts) all += one;
    return all;
}

double histogram::values::quantile(double q) const noexcept {
    const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count())));
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < bounds.size(); ++at) {
        seen += counts[at];
        if (seen >= rank && seen > 0) return bounds[at];
    }
    return count() == 0 ? 0 : bounds.back();
}

std::string label(std::string_view key, std::string_view value) {
    std::string text = fmt::format("{}=\"", key);
    for (const char c : value) {
        if (c == '\\' || c == '"') text += '\\';
        if (c == '\n')
            text += "\\n";
        else
            text += c;
    }
    return text + '"';
}

void metrics_text::family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void metrics_text::sample(std::string_view labels, double value, std::string_view suffix) {
    text_ += name_;
    text_ += suffix;
    if (!labels.empty()) fmt::format_to(std::back_inserter(text_), "{{{}}}", labels);
    if (value == std::floor(value) && std::abs(value) < 1e15)
        fmt::format_to(std::back_inserter(text_), " {}\n", static_cast<std::int64_t>(value));
    else
        fmt::format_to(std::back_inserter(text_), " {}\n", value);
}

void metrics_text::sample(std::string_view labels, const histogram::values& values) {
    const std::string more = labels.empty() ? "" : std::string(labels) + ',';
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < histogram::bounds.size(); ++at) {
        seen += values.counts[at];
        sample(fmt::format("{}le=\"{}\"", more, histogram::bounds[at]), static_cast<double>(seen), "_bucket");
    }
    const auto all = static_cast<double>(values.count());
    sample(more + "le=\"+Inf\"", all, "_bucket");
    sample(labels, values.sum, "_sum");
    sample(labels, all, "_count");
}

void metrics_text::single(std::string_view name, std::string_view type, std::string_view help, double value) {
    family(name, type, help);
    sample({}, value);
}

void write_process_metrics(metrics_text& out) {
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    out.single("process_cpu_seconds_total", "counter", "User and system CPU time spent.",
               seconds(usage.ru_utime) + seconds(usage.ru_stime));
    std::ifstream statm("/proc/self/statm");
    double virtual_pages = 0, resident_pages = 0;
    if (statm >> virtual_pages >> resident_pages) {
        const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
        out.single("process_virtual_memory_bytes", "gauge", "Virtual memory size.", virtual_pages * page);
        out.single("process_resident_memory_bytes", "gauge", "Resident memory size.", resident_pages * page);
    }
    std::error_code error;
    std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
    if (!error) {
        const auto open = std::distance(begin(descriptors), end(descriptors));
        out.single("process_open_fds", "gauge", "Open file descriptors.", static_cast<double>(open));
    }
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
        out.single("process_max_fds", "gauge", "Largest number of open file descriptors.",
                   static_cast<double>(limit.rlim_cur));
    if (::getrlimit(RLIMIT_AS, &limit) == 0)  // infinity: as large as a number gets, the standard says so
        out.single("process_virtual_memory_max_bytes", "gauge", "Largest amount of virtual memory.",
                   static_cast<double>(limit.rlim_cur));
    std::ifstream stat("/proc/self/stat");
    std::ifstream uptime("/proc/stat");
    std::string word, line;
    double boot = 0;
    while (std::getline(uptime, line))
        if (line.starts_with("btime ")) boot = std::stod(line.substr(6));
    std::getline(stat, line);
    // Fields of proc(5), counted from behind the name, which may hold anything but ')'.
    const auto field = [&line](int wanted) {
        std::size_t at = line.rfind(')');
        for (int nth = 2; nth < wanted && at != line.npos; ++nth) at = line.find(' ', at + 1);
        return at == line.npos ? 0 : std::stod(line.substr(at + 1));
    };
    if (line.empty() || boot <= 0) return;
    out.single("process_threads", "gauge", "Threads of the operating system.", field(20));
    out.single("process_start_time_seconds", "gauge", "Start time since the epoch.",
               boot + field(22) / static_cast<double>(::sysconf(_SC_CLK_TCK)));
}

}  // namespace server
