#include "server/request_metrics.hpp"

#include <fmt/format.h>

#include <map>

namespace server {
namespace {

void write_classes(metrics_text& out, const std::string& labels, std::size_t route,
                   const std::vector<const loop*>& loops) {
    for (std::size_t digit = 0; digit <= 5; ++digit) {
        std::uint64_t times = 0;
        for (const auto* loop : loops) times += loop->routes()[route].responses[digit].get();
        const auto code = digit == 0 ? std::string("client_gone") : fmt::format("{}xx", digit);
        if (times > 0) out.sample(labels + ',' + label("code", code), static_cast<double>(times));
    }
}

void write_statuses(metrics_text& out, const std::string& labels, std::size_t route,
                    const std::vector<const loop*>& loops) {
    std::map<unsigned, std::uint64_t> all;
    for (const auto* loop : loops) loop->routes()[route].statuses.collect(all);
    for (const auto& [status, times] : all)
        out.sample(labels + ',' + label("code", status == 0 ? "other" : std::to_string(status)),
                   static_cast<double>(times));
}

void write_durations(metrics_text& out, const std::string& labels, std::size_t route,
                     const std::vector<const loop*>& loops) {
    histogram::values all;
    histogram::native_values native;
    bucket_exemplars exemplars;
    for (const auto* loop : loops) {
        const auto& counted = loop->routes()[route];
        if (out.has_native()) native += counted.duration;  // first: of what comes meanwhile the others have more
        all += counted.duration;
        counted.exemplars.collect(exemplars);
    }
    if (all.count() > 0) out.sample(labels, all, exemplars, &native);
}

}  // namespace

void write_request_metrics(metrics_text& out, const std::vector<std::string>& labels,
                           const std::vector<const loop*>& loops) {
    const auto each = [&](const auto& write) {
        for (std::size_t route = 0; route < labels.size(); ++route) write(out, labels[route], route, loops);
    };
    out.family("http_requests_total", "counter", "Requests answered, by route and class of status, or client_gone.");
    each(write_classes);
    out.family("http_responses_total", "counter", "Requests answered, by route and status.");
    each(write_statuses);
    out.family("http_request_duration_seconds", "histogram", "From the parsed head to the answer.");
    each(write_durations);
}

}  // namespace server
