#include "server/metrics.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "server/metric_families.hpp"

namespace server {
namespace {

constexpr std::uint64_t fraction_of(double value) noexcept {
    return std::bit_cast<std::uint64_t>(value) & 0xFFFFFFFFFFFFF;
}

/// How many of the eight steps between two powers of two end below a number, by the bits after its point. The steps end
/// at 2^(n/8); the one at 1 apart, the nth lies within the nth eighth of the way, so that one comparison is enough.
unsigned steps_below(std::uint64_t fraction) noexcept {
    constexpr std::array<std::uint64_t, 8> ends{fraction_of(1.0905077326652577), fraction_of(1.189207115002721),
                                                fraction_of(1.2968395546510096), fraction_of(1.4142135623730951),
                                                fraction_of(1.5422108254079407), fraction_of(1.6817928305074290),
                                                fraction_of(1.8340080864093424), UINT64_MAX};
    const auto eighth = static_cast<unsigned>(fraction >> 49);
    return eighth + (fraction > 0 ? 1U : 0U) + (fraction > ends[eighth] ? 1U : 0U);
}

/// That of histogram::native_buckets; below 0: the zero bucket.
int native_of(double seconds) noexcept {
    if (seconds <= histogram::native_zero) return -1;
    const auto bits = std::bit_cast<std::uint64_t>(seconds);
    const auto power = static_cast<int>(bits >> 52) - 1023;
    const auto number = 8 * power + static_cast<int>(steps_below(bits & 0xFFFFFFFFFFFFF));
    return std::min(number - histogram::first_native, histogram::native_buckets - 1);
}

}  // namespace

std::size_t histogram::observe(std::chrono::nanoseconds duration) noexcept {
    const double seconds = std::chrono::duration<double>(duration).count();
    std::size_t at = 0;
    // From the bottom: most requests take little time, so a few comparisons are enough.
    while (at < bounds.size() && seconds > bounds[at]) ++at;
    counts_[at].add();
    if (const int native = native_of(seconds); native >= 0)
        native_[static_cast<std::size_t>(native)].add();
    else
        zero_.add();
    nanoseconds_.add(static_cast<std::uint64_t>(duration.count()));
    return at;
}

void exemplar_table::keep(std::size_t bucket, std::string_view trace_id, std::chrono::nanoseconds duration) noexcept {
    std::array<std::uint64_t, 2> halves{};
    for (std::size_t nth = 0; nth < halves.size(); ++nth) {
        const auto half = trace_id.substr(std::min(16 * nth, trace_id.size()), 16);
        std::from_chars(half.data(), half.data() + half.size(), halves[nth], 16);
    }
    keep(bucket, halves, duration);
}

// A thread that reads a new word, by acquire, sees the odd turn that was stored before it.
void exemplar_table::keep(std::size_t bucket, std::array<std::uint64_t, 2> trace_id,
                          std::chrono::nanoseconds duration) noexcept {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    assert(bucket < slots_.size());
    auto& slot = slots_[bucket];
    const auto turn = slot.turn.load(std::memory_order_relaxed);
    slot.turn.store(turn + 1, std::memory_order_relaxed);
    const std::array words{trace_id[0], trace_id[1], static_cast<std::uint64_t>(duration.count()),
                           static_cast<std::uint64_t>(std::chrono::floor<std::chrono::milliseconds>(now).count())};
    for (std::size_t nth = 0; nth < words.size(); ++nth) slot.words[nth].store(words[nth], std::memory_order_release);
    slot.turn.store(turn + 2, std::memory_order_release);
}

void exemplar_table::collect(bucket_exemplars& all) const noexcept {
    for (std::size_t at = 0; at < slots_.size(); ++at) {
        const auto& slot = slots_[at];
        const auto turn = slot.turn.load(std::memory_order_acquire);
        std::array<std::uint64_t, 4> words{};
        for (std::size_t nth = 0; nth < words.size(); ++nth)
            words[nth] = slot.words[nth].load(std::memory_order_acquire);
        if (turn % 2 != 0 || slot.turn.load(std::memory_order_relaxed) != turn) continue;
        const std::chrono::milliseconds when(words[3]);
        if (when > all[at].when) all[at] = {{words[0], words[1]}, std::chrono::nanoseconds(words[2]), when};
    }
}

void status_table::add(unsigned status) noexcept {
    for (auto& entry : entries_) {
        const auto known = entry.status.get();
        if (known == status) return entry.times.add();
        if (known != 0) continue;
        entry.times.add();  // before a reader knows of what
        entry.status.set(status);
        return;
    }
    others_.add();
}

void status_table::collect(std::map<unsigned, std::uint64_t>& all) const {
    for (const auto& entry : entries_)
        if (const auto status = entry.status.get(); status != 0)
            all[static_cast<unsigned>(status)] += entry.times.get();
    if (const auto others = others_.get(); others > 0) all[0] += others;
}

void histogram::values::operator+=(const histogram& from) noexcept {
    for (std::size_t at = 0; at < counts.size(); ++at) counts[at] += from.counts_[at].get();
    sum += static_cast<double>(from.nanoseconds_.get()) / 1e9;
}

std::uint64_t histogram::values::count() const noexcept {
    std::uint64_t all = 0;
    for (const auto count : counts) all += count;
    return all;
}

void histogram::native_values::operator+=(const histogram& from) noexcept {
    for (std::size_t at = 0; at < counts.size(); ++at) counts[at] += from.native_[at].get();
    zero += from.zero_.get();
}

std::uint64_t histogram::native_values::count() const noexcept {
    auto all = zero;
    for (const auto count : counts) all += count;
    return all;
}

/// The upper end of the bucket in which it lies; beyond the last bound no more is known than that.
double histogram::values::quantile(double q) const noexcept {
    const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count())));
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < bounds.size(); ++at) {
        seen += counts[at];
        if (seen >= rank && seen > 0) return bounds[at];
    }
    return count() == 0 ? 0 : bounds.back();
}

/// Escaped as the text formats of Prometheus and OpenMetrics want it: a value that is not would break all that follows.
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

/// With \\, \" and \n.
std::vector<std::pair<std::string, std::string>> read_labels(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> all;
    while (!text.empty()) {
        const auto equals = text.find("=\"");
        if (equals == text.npos) break;
        std::string value;
        std::size_t at = equals + 2;
        for (; at < text.size() && text[at] != '"'; ++at) {
            const bool escaped = text[at] == '\\' && at + 1 < text.size();
            if (escaped) ++at;
            value += escaped && text[at] == 'n' ? '\n' : text[at];
        }
        all.emplace_back(std::string(text.substr(0, equals)), std::move(value));
        text.remove_prefix(std::min(at + 1, text.size()));
        if (text.starts_with(',')) text.remove_prefix(1);
    }
    return all;
}

namespace {

/// The weight of a media range of Accept (RFC 9110 section 12.5.1), from 0 to 1.
double weight_of(std::string_view range) noexcept {
    for (auto at = range.find(';'); at != range.npos; at = range.find(';', at + 1)) {
        auto parameter = range.substr(at + 1);
        parameter.remove_prefix(std::min(parameter.find_first_not_of(" \t"), parameter.size()));
        if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
        double weight = 0;
        const auto [end, error] = std::from_chars(parameter.data() + 2, parameter.data() + parameter.size(), weight);
        return error == std::errc{} ? weight : 0;
    }
    return 1;
}

}  // namespace

metrics_text::metrics_text(format how) : format_(how) {
    if (how == format::protobuf) families_ = std::make_unique<metric_families>();
}

metrics_text::~metrics_text() = default;

metrics_text::format metrics_text::wanted_by(std::string_view accept) noexcept {
    double protobuf = 0, openmetrics = 0, text = 0;
    while (!accept.empty()) {
        const auto comma = std::min(accept.find(','), accept.size());
        auto range = accept.substr(0, comma);
        accept.remove_prefix(std::min(comma + 1, accept.size()));
        range.remove_prefix(std::min(range.find_first_not_of(" \t"), range.size()));
        if (range.starts_with("application/vnd.google.protobuf") &&
            range.find("proto=io.prometheus.client.MetricFamily") != range.npos &&
            range.find("encoding=delimited") != range.npos)
            protobuf = std::max(protobuf, weight_of(range));
        else if (range.starts_with("application/openmetrics-text"))
            openmetrics = std::max(openmetrics, weight_of(range));
        else if (range.starts_with("text/plain"))
            text = std::max(text, weight_of(range));
    }
    if (protobuf > 0 && protobuf >= std::max(openmetrics, text)) return format::protobuf;
    return openmetrics > 0 && openmetrics >= text ? format::openmetrics : format::prometheus;
}

std::string_view metrics_text::content_type() const noexcept {
    if (families_)
        return "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    return format_ == format::openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                          : "text/plain; version=0.0.4; charset=utf-8";
}

std::string metrics_text::take() {
    if (families_) return families_->take();
    if (format_ == format::openmetrics) text_ += "# EOF\n";
    return std::move(text_);
}

/// In OpenMetrics a family of counters has the name without what its samples end in.
void metrics_text::family(std::string_view name, std::string_view type, std::string_view help) {
    if (families_) return families_->begin(name, type, help);
    name_ = name;
    constexpr std::string_view total = "_total";
    if (format_ == format::openmetrics && type == "counter" && name.ends_with(total)) name.remove_suffix(total.size());
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void metrics_text::sample(std::string_view labels, double value, std::string_view suffix) {
    if (families_) return families_->number(labels, value);
    text_ += name_;
    text_ += suffix;
    if (!labels.empty()) fmt::format_to(std::back_inserter(text_), "{{{}}}", labels);
    // A counter of bytes soon has more digits than fmt writes without an exponent, which people do not like to read.
    if (value == std::floor(value) && std::abs(value) < 1e15)
        fmt::format_to(std::back_inserter(text_), " {}\n", static_cast<std::int64_t>(value));
    else
        fmt::format_to(std::back_inserter(text_), " {}\n", value);
}

void metrics_text::bucket(std::string_view labels, std::string_view bound, std::uint64_t count,
                          const exemplar& exemplar) {
    fmt::format_to(std::back_inserter(text_), "{}_bucket{{{}{}le=\"{}\"}} {}", name_, labels, labels.empty() ? "" : ",",
                   bound, count);
    if (format_ == format::openmetrics && exemplar)
        fmt::format_to(std::back_inserter(text_), " # {{trace_id=\"{:016x}{:016x}\"}} {} {}.{:03}", exemplar.trace[0],
                       exemplar.trace[1], std::chrono::duration<double>(exemplar.duration).count(),
                       exemplar.when.count() / 1'000, exemplar.when.count() % 1'000);
    text_ += '\n';
}

void metrics_text::sample(std::string_view labels, const histogram::values& values, const bucket_exemplars& of,
                          const histogram::native_values* native) {
    if (families_) return families_->distribution(labels, values, of, native);
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < histogram::bounds.size(); ++at) {
        seen += values.counts[at];
        // As each format has its whole numbers.
        const auto bound = format_ == format::openmetrics && histogram::bounds[at] >= 1
                               ? fmt::format("{:.1f}", histogram::bounds[at])
                               : fmt::format("{}", histogram::bounds[at]);
        bucket(labels, bound, seen, of[at]);
    }
    bucket(labels, "+Inf", values.count(), of.back());
    const auto all = static_cast<double>(values.count());
    sample(labels, values.sum, "_sum");
    sample(labels, all, "_count");
}

void metrics_text::sample(std::string_view labels, std::span<const double> bounds,
                          std::span<const std::uint64_t> counts, double sum) {
    assert(counts.size() == bounds.size() + 1 && "one more for what is above all bounds");
    if (families_) return families_->distribution(labels, bounds, counts, sum);
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < bounds.size(); ++at) {
        seen += counts[at];
        const bool whole = format_ == format::openmetrics && bounds[at] == std::floor(bounds[at]);
        bucket(labels, whole ? fmt::format("{:.1f}", bounds[at]) : fmt::format("{}", bounds[at]), seen, {});
    }
    seen += counts.back();
    bucket(labels, "+Inf", seen, {});
    sample(labels, sum, "_sum");
    sample(labels, static_cast<double>(seen), "_count");
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
    // Fields of proc(5), counted from after the name, which may hold anything but ')'.
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
