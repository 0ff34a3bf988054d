#include "server/admin/page/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <string_view>

namespace server {

namespace {

using seconds = std::chrono::duration<double>;

void add_up(histogram::values& all, const histogram::values& more) noexcept {
    for (std::size_t nth = 0; nth < all.counts.size(); ++nth) all.counts[nth] += more.counts[nth];
}

/// Of all routes.
reading::route sum_of(const reading& of) {
    reading::route all;
    for (const auto& route : of.routes) {
        all.requests += route.requests;
        all.errors += route.errors;
        all.in_flight += route.in_flight;
        add_up(all.duration, route.duration);
    }
    return all;
}

/// Counters that were read one after the other while others wrote may differ by a little in either direction.
double grown(std::uint64_t now, std::uint64_t before) noexcept {
    return now > before ? static_cast<double>(now - before) : 0;
}

double span_of(const reading& now, const reading& before) noexcept {
    return std::max(seconds(now.at - before.at).count(), 0.001);
}

std::string to_json(double number) { return fmt::format("{:.6g}", number); }

std::string to_json(const estimate& of) {
    switch (of.where) {
        case estimate::place::nothing: return "null";
        case estimate::place::below: return "\"<\"";
        case estimate::place::above: return "\">\"";
        case estimate::place::within: break;
    }
    return to_json(of.seconds);
}

}  // namespace

estimate quantile(double q, const histogram::values& now, const histogram::values& before) noexcept {
    constexpr auto& bounds = histogram::bounds;
    std::array<double, bounds.size() + 1> counts;
    double total = 0;
    for (std::size_t nth = 0; nth < counts.size(); ++nth)
        total += counts[nth] = grown(now.counts[nth], before.counts[nth]);
    if (total <= 0) return {};
    const double rank = q * total;
    double below = counts[0];
    if (below >= rank) return {estimate::place::below, bounds.front()};
    for (std::size_t nth = 1; nth < bounds.size(); ++nth) {
        if (below + counts[nth] >= rank) {
            const double part = (rank - below) / counts[nth];
            return {estimate::place::within, bounds[nth - 1] + (bounds[nth] - bounds[nth - 1]) * part};
        }
        below += counts[nth];
    }
    return {estimate::place::above, bounds.back()};
}

history::point history::between(const reading& now, const reading& last, const reading& oldest) {
    const auto all = sum_of(now), before = sum_of(last), long_ago = sum_of(oldest);
    const double passed = span_of(now, last);
    point made;
    made.at = now.at;
    made.requests = grown(all.requests, before.requests) / passed;
    made.errors = grown(all.errors, before.errors) / passed;
    made.accepted = grown(now.accepted, last.accepted) / passed;
    made.cpu = 100 * std::max(now.cpu_seconds - last.cpu_seconds, 0.0) / passed;
    made.waiting = now.waiting;
    made.in_flight = static_cast<double>(all.in_flight);
    made.connections = static_cast<double>(now.connections);
    made.p50 = quantile(0.5, all.duration, long_ago.duration);
    made.p99 = quantile(0.99, all.duration, long_ago.duration);
    made.lag_p50 = quantile(0.5, now.lag, oldest.lag);
    made.lag_p99 = quantile(0.99, now.lag, oldest.lag);
    return made;
}

void history::add(reading now) {
    const std::scoped_lock lock(mutex_);
    if (readings_.size() > window) readings_.pop_front();
    if (!readings_.empty()) {
        points_[count_ % span] = between(now, readings_.back(), readings_.front());
        ++count_;
    }
    readings_.push_back(std::move(now));
}

std::string history::routes_to_json() const {
    std::string rows;
    if (readings_.empty()) return rows;
    const auto &now = readings_.back(), &before = readings_.front();
    const double passed = span_of(now, before);
    for (std::size_t nth = 0; nth < std::min(routes_.size(), now.routes.size()); ++nth) {
        const auto &of = now.routes[nth], &old = before.routes[nth];
        const bool named = nth + 1 < routes_.size();  // the last is what no route answers
        if (!named && of.requests == 0) continue;
        fmt::format_to(std::back_inserter(rows),
                       R"({}{{"route":{},"requests":{},"errors":{},"p50":{},"p99":{},"in_flight":{}}})",
                       rows.empty() ? "" : ",", boost::json::serialize(boost::json::string(routes_[nth])),
                       server::to_json(grown(of.requests, old.requests) / passed),
                       server::to_json(grown(of.errors, old.errors) / passed),
                       server::to_json(quantile(0.5, of.duration, old.duration)),
                       server::to_json(quantile(0.99, of.duration, old.duration)), of.in_flight);
    }
    return rows;
}

std::string history::to_json(std::uint64_t since, lifecycle::clock::time_point at) const {
    const std::scoped_lock lock(mutex_);
    const auto oldest = count_ > span ? count_ - span : 0;
    const auto first = since <= count_ ? std::max(since, oldest) : oldest;
    std::string text =
        fmt::format(R"({{"next":{},"interval_ms":{},"window_ms":{},"bounds":[{},{}])", count_, interval.count(),
                    (interval * window).count(), histogram::bounds.front(), histogram::bounds.back());
    const auto column = [&](std::string_view name, const auto& value_of) {
        fmt::format_to(std::back_inserter(text), ",\"{}\":[", name);
        for (auto nth = first; nth < count_; ++nth) {
            if (nth > first) text += ',';
            text += server::to_json(value_of(points_[nth % span]));
        }
        text += ']';
    };
    column("age_ms", [at](const point& of) { return seconds(at - of.at).count() * 1e3; });
    column("requests", [](const point& of) { return of.requests; });
    column("errors", [](const point& of) { return of.errors; });
    column("p50", [](const point& of) { return of.p50; });
    column("p99", [](const point& of) { return of.p99; });
    column("in_flight", [](const point& of) { return of.in_flight; });
    column("connections", [](const point& of) { return of.connections; });
    column("waiting", [](const point& of) { return of.waiting; });
    column("accepted", [](const point& of) { return of.accepted; });
    column("lag_p50", [](const point& of) { return of.lag_p50; });
    column("lag_p99", [](const point& of) { return of.lag_p99; });
    column("cpu", [](const point& of) { return of.cpu; });
    fmt::format_to(std::back_inserter(text), R"(,"resident_bytes":{:.0f},"routes":[{}]}})",
                   readings_.empty() ? 0.0 : readings_.back().resident_bytes, routes_to_json());
    return text;
}

}  // namespace server
