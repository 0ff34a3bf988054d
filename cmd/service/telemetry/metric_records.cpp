#include "cmd/service/telemetry/metric_records.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "cmd/service/telemetry/wire.hpp"

namespace telemetry {
namespace {

constexpr std::uint64_t cumulative = 2;
constexpr std::size_t largest_metric = 2UL * 1024 * 1024;

using labels = std::vector<std::pair<std::string, std::string>>;

struct sample {
    std::string_view name, labels;  ///< as they stand in the text
    double value = 0;
    std::optional<std::int64_t> whole = {};  ///< the same where it is a whole number: a double has 53 bits

    std::uint64_t count() const noexcept {
        return whole ? static_cast<std::uint64_t>(*whole) : static_cast<std::uint64_t>(value);
    }
};

template <class Number>
bool read_number(std::string_view text, Number& into) {
    const auto* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, into);
    return error == std::errc{} && at == end;
}

/// `name{labels} value`.
std::optional<sample> read_sample(std::string_view line) {
    const auto blank = line.rfind(' ');
    if (blank == line.npos) return std::nullopt;
    sample made;
    auto text = line.substr(0, blank);
    const auto number = line.substr(blank + 1);
    if (number == "+Inf" || number == "-Inf" || number == "NaN") return std::nullopt;
    if (!read_number(number, made.value)) return std::nullopt;
    if (std::int64_t whole = 0; read_number(number, whole)) made.whole = whole;
    if (text.ends_with('}')) {
        const auto open = text.find('{');
        if (open == text.npos) return std::nullopt;
        made.labels = text.substr(open + 1, text.size() - open - 2);
        text = text.substr(0, open);
    }
    made.name = text;
    return made;
}

/// Takes what is after the last comma that is not in a value: `le` is the last label of a bucket.
std::optional<std::string> take_bound(labels& of) {
    if (of.empty() || of.back().first != "le") return std::nullopt;
    auto bound = std::move(of.back().second);
    of.pop_back();
    return bound;
}

/// Writes one metric into a record of its own.
class metric_writer {
public:
    explicit metric_writer(std::size_t room = largest_metric)
        : room_(std::make_unique_for_overwrite<char[]>(room)),
          to_(room_.get(), room_.get() + room),
          metric_(to_.open(2)) {}

    wire_writer& to() noexcept { return to_; }
    void describe(std::string_view name, std::string_view description, std::string_view unit) {
        to_.bytes(1, name);
        if (!description.empty()) to_.bytes(2, description);
        if (!unit.empty()) to_.bytes(3, unit);
    }
    void finish(batch& into) {
        to_.close(metric_);
        if (!to_.fits()) return;
        into.bytes += to_.view();
        into.ends.push_back(into.bytes.size());
    }

private:
    std::unique_ptr<char[]> room_;
    wire_writer to_;
    std::size_t metric_;
};

void write_labels(wire_writer& to, unsigned field, const labels& all) {
    std::string room;
    for (const auto& [key, value] : all) attributes(to, field).text(key, sound_text(value, room));
}

struct distribution {
    std::vector<double> bounds;
    std::vector<std::uint64_t> counts;  ///< one more, not added up
    double sum = 0;
};

void write_point(wire_writer& to, const distribution& all, const span_of_time& when) {
    std::uint64_t count = 0;
    for (const auto bucket : all.counts) count += bucket;
    to.fixed64(2, when.start);
    to.fixed64(3, when.now);
    to.fixed64(4, count);
    to.real(5, all.sum);
    to.varint(6 << 3 | 2);
    to.varint(8 * all.counts.size());
    for (const auto bucket : all.counts) to.little(bucket);
    to.varint(7 << 3 | 2);
    to.varint(8 * all.bounds.size());
    for (const auto bound : all.bounds) to.little(bound);
}

/// A family of /metrics, as it arrives line by line.
class family {
public:
    family(std::string_view name, std::string_view help) : name_(name), help_(help) {}

    std::string_view name() const noexcept { return name_; }
    void type(std::string_view type) { type_ = type; }
    void add(const sample& sample) { samples_.push_back(sample); }

    void append(batch& to, const span_of_time& when) const {
        if (samples_.empty()) return;
        metric_writer writer;
        writer.describe(name_, help_, unit());
        auto& out = writer.to();
        if (type_ == "histogram") {
            const auto body = out.open(9);
            write_histograms(out, when);
            out.number(2, cumulative);
            out.close(body);
        } else {
            const bool sum = type_ == "counter";
            const auto body = out.open(sum ? 7 : 5);
            for (const auto& sample : samples_) {
                const auto point = out.open(1);
                write_labels(out, 7, server::read_labels(sample.labels));
                if (sum) out.fixed64(2, when.start);
                out.fixed64(3, when.now);
                if (sample.whole)
                    out.fixed64(6, static_cast<std::uint64_t>(*sample.whole));
                else
                    out.real(4, sample.value);
                out.close(point);
            }
            if (sum) {
                out.number(2, cumulative);
                out.number(3, 1);  // monotonic
            }
            out.close(body);
        }
        writer.finish(to);
    }

private:
    /// By what the name says (UCUM).
    std::string_view unit() const noexcept {
        for (const auto& [word, unit] : {std::pair("_seconds", "s"), std::pair("_bytes", "By")})
            if (name_.find(word) != name_.npos) return unit;
        return {};
    }

    void write_histograms(wire_writer& out, const span_of_time& when) const {
        distribution all;
        std::uint64_t before = 0;
        for (const auto& sample : samples_) {
            const auto suffix = sample.name.substr(std::min(name_.size(), sample.name.size()));
            auto its = server::read_labels(sample.labels);
            if (suffix == "_bucket") {
                const auto bound = take_bound(its);
                const auto count = sample.count();
                double value = 0;
                if (!bound) continue;
                if (*bound != "+Inf" &&
                    std::from_chars(bound->data(), bound->data() + bound->size(), value).ec == std::errc{})
                    all.bounds.push_back(value);
                all.counts.push_back(count - std::min(before, count));
                before = count;
            } else if (suffix == "_sum") {
                all.sum = sample.value;
            } else if (suffix == "_count") {  // the last of each
                if (all.counts.size() == all.bounds.size() + 1) {
                    const auto point = out.open(1);
                    write_labels(out, 9, its);
                    write_point(out, all, when);
                    out.close(point);
                }
                all = {};
                before = 0;
            }
        }
    }

    std::string_view name_, help_, type_;
    std::vector<sample> samples_;
};

/// "# HELP name …": what is after `what`.
std::optional<std::string_view> behind(std::string_view line, std::string_view what) {
    if (!line.starts_with(what)) return std::nullopt;
    return line.substr(what.size());
}

struct by_values {
    static auto key(const request_kind& kind) {
        return std::tuple(kind.to, kind.method, kind.status, kind.version, kind.secure, kind.failed);
    }
    bool operator()(const request_kind& a, const request_kind& b) const { return key(a) < key(b); }
};

void write_kind(wire_writer& to, const request_kind& kind) {
    const attributes all(to, 9);
    std::array<char, 3> room;
    all.text("http.request.method", kind.method_name());
    if (const auto route = kind.route(); !route.empty()) all.text("http.route", route);
    all.text("url.scheme", kind.scheme());
    all.text("network.protocol.version", kind.protocol_version());
    if (kind.status != 0) all.number("http.response.status_code", kind.status);
    if (const auto error = kind.error_type(room); !error.empty()) all.text("error.type", error);
}

distribution distribution_of(const request_series::values& values) {
    return {.bounds = {request_series::bounds.begin(), request_series::bounds.end()},
            .counts = {values.counts.begin(), values.counts.end()},
            .sum = values.sum};
}

}  // namespace

void append_metrics(batch& to, std::string_view text, span_of_time when) {
    std::optional<family> now;
    const auto end = [&] {
        if (now) now->append(to, when);
    };
    while (!text.empty()) {
        const auto feed = std::min(text.find('\n'), text.size());
        const auto line = text.substr(0, feed);
        text.remove_prefix(std::min(feed + 1, text.size()));
        if (const auto help = behind(line, "# HELP ")) {
            end();
            const auto blank = std::min(help->find(' '), help->size());
            now.emplace(help->substr(0, blank), help->substr(std::min(blank + 1, help->size())));
        } else if (const auto type = behind(line, "# TYPE ")) {
            const auto blank = std::min(type->find(' '), type->size());
            if (now && now->name() == type->substr(0, blank))
                now->type(type->substr(std::min(blank + 1, type->size())));
        } else if (const auto sample = read_sample(line); sample && now) {
            now->add(*sample);
        }
    }
    end();
}

void append_request_durations(batch& to, const std::vector<const request_series*>& of, span_of_time when) {
    std::map<request_kind, request_series::values, by_values> all;
    std::optional<request_series::values> overflow;
    for (const auto* loop : of)
        loop->for_each([&](const request_series::series& series) {
            if (series.overflow && !overflow) overflow.emplace();
            series.add_to(series.overflow ? *overflow : all[series.kind]);
        });
    if (all.empty()) return;
    metric_writer writer;
    writer.describe("http.server.request.duration", "Duration of HTTP server requests.", "s");
    auto& out = writer.to();
    const auto body = out.open(9);
    for (const auto& [kind, values] : all) {
        const auto point = out.open(1);
        write_kind(out, kind);
        write_point(out, distribution_of(values), when);
        out.close(point);
    }
    if (overflow) {
        const auto point = out.open(1);
        attributes(out, 9).truth("otel.metric.overflow", true);
        write_point(out, distribution_of(*overflow), when);
        out.close(point);
    }
    out.number(2, cumulative);
    out.close(body);
    writer.finish(to);
}

}  // namespace telemetry
