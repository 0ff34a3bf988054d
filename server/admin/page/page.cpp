#include "server/admin/page/page.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <random>
#include <thread>

#include "lifecycle/periodic.hpp"
#include "lifecycle/share.hpp"
#include "lifecycle/task_group.hpp"

namespace server {

namespace json = boost::json;

namespace {

/// For this answer alone: a script that was smuggled into the text of the page does not know it (CSP Level 3, section
/// 7.1).
std::string make_nonce() {
    std::random_device random;
    return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

/// "/path   words" lines as a list of links; a line without a path is left out.
std::string links(std::string_view index) {
    std::string list;
    while (!index.empty()) {
        const auto line = index.substr(0, index.find('\n'));
        index.remove_prefix(std::min(index.size(), line.size() + 1));
        if (!line.starts_with('/')) continue;
        const auto path = line.substr(0, line.find(' '));
        const auto words = line.find_first_not_of(' ', path.size());
        fmt::format_to(std::back_inserter(list), "    <li><a href=\"{0}\">{0}</a> <span>{1}</span></li>\n",
                       escape_html(path), escape_html(words == line.npos ? "" : line.substr(words)));
    }
    return list;
}

/// How many descriptors are open; 0 without /proc.
std::ptrdiff_t descriptors() {
    std::error_code error;
    const std::filesystem::directory_iterator open("/proc/self/fd", error);
    return error ? 0 : std::distance(begin(open), end(open));
}

/// Milliseconds, as people read them; "< 0.1 ms" and "> 10000 ms" at the ends of what is measured.
std::string shown(double q, const reading& counted) {
    histogram::values all;
    for (const auto& route : counted.routes)
        for (std::size_t nth = 0; nth < all.counts.size(); ++nth) all.counts[nth] += route.duration.counts[nth];
    const auto of = quantile(q, all, {});
    if (of.where == estimate::place::nothing) return "none yet";
    const auto* const end = of.where == estimate::place::below ? "< " : of.where == estimate::place::above ? "> " : "";
    return fmt::format("{}{:.3g} ms", end, of.seconds * 1e3);
}

/// What somebody without script wants to know first.
std::string figures(const debug_sources& from) {
    const auto app = from.app.now();
    const auto stop = from.stop.now();
    const auto counted = take_reading(from);
    std::string list;
    const auto row = [&list](std::string_view what, const std::string& value) {
        fmt::format_to(std::back_inserter(list), "<dt>{}</dt><dd>{}</dd>\n", what, escape_html(value));
    };
    row("phase", std::string(lifecycle::to_string(stop.phase)));
    if (!stop.cause.empty()) row("stop begun by", fmt::format("{}, {} ms left", stop.cause, stop.left.count()));
    row("requests answered", fmt::format("{}, {} refused", app.requests, app.refused));
    row("in flight", std::to_string(app.in_flight));
    row("latency since the start", fmt::format("p50 {}, p99 {}", shown(0.5, counted), shown(0.99, counted)));
    row("connections", fmt::format("{} open, {} idle, {} accepted", app.open, app.idle, app.accepted));
    row("events to deliver", fmt::format("{:.0f}", counted.waiting));
    row("threads", std::to_string(from.workers.live()));
    return list;
}

/// JSON as the text of a script element, which `</` would end and `<!--` would change.
std::string inside_script(std::string_view text) {
    std::string safe;
    for (const char c : text) c == '<' ? safe += "\\u003c" : safe += c;
    return safe;
}

response as_json(std::string text) {
    response answer(http::status::ok, std::move(text) + '\n', "application/json");
    return std::move(answer.set("Cache-Control", "no-store"));
}

/// The template with each `{{key}}` replaced; what is filled in is not looked at again.
std::string filled(std::string_view html, const std::map<std::string_view, std::string>& values) {
    std::string page;
    for (;;) {
        const auto at = html.find("{{");
        page += html.substr(0, at);
        if (at == html.npos) return page;
        const auto end = html.find("}}", at);
        page += values.at(html.substr(at + 2, end - at - 2));
        html.remove_prefix(end + 2);
    }
}

}  // namespace

std::string escape_html(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        switch (c) {
            case '&': safe += "&amp;"; break;
            case '<': safe += "&lt;"; break;
            case '>': safe += "&gt;"; break;
            case '"': safe += "&quot;"; break;
            case '\'': safe += "&#39;"; break;
            default: safe += c;
        }
    }
    return safe;
}

live_page::live_page(const debug_sources& from)
    : from_(from), began_(lifecycle::clock::now()), history_(from.app.route_names()) {}

std::string live_page::history_json(std::uint64_t since) const {
    const auto now = lifecycle::clock::now();
    auto text = history_.to_json(since, now);
    text.pop_back();  // into the same object
    fmt::format_to(std::back_inserter(text), R"(,"pid":{},"up_ms":{},"descriptors":{}}})", ::getpid(),
                   std::chrono::duration_cast<std::chrono::milliseconds>(now - began_).count(), descriptors());
    return text;
}

response live_page::html(std::string_view index) const {
    const auto nonce = make_nonce();
    const auto build = json::parse(from_.build).as_object();
    const auto text = [&build](const char* key) {
        const auto* const found = build.if_contains(key);
        return found != nullptr && found->is_string() ? escape_html(found->as_string()) : std::string();
    };
    const auto first = fmt::format(R"({{"stop":{},"history":{}}})", shutdown_state(from_), history_json(0));
    auto html = filled(page_template(), {{"nonce", nonce},
                                         {"name", text("name")},
                                         {"version", text("version") + ' ' + text("revision")},
                                         {"phase", std::string(lifecycle::to_string(from_.stop.phase()))},
                                         {"figures", figures(from_)},
                                         {"first", inside_script(first)},
                                         {"index", links(index)}});
    response page(http::status::ok, std::move(html), "text/html; charset=utf-8");
    page.set("Content-Security-Policy",
             fmt::format("default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; "
                         "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                         nonce));
    page.set("X-Content-Type-Options", "nosniff").set("Referrer-Policy", "no-referrer");
    page.set("Cache-Control", "no-store").set("Vary", "Accept");
    return page;
}

void live_page::add_routes(router& routes) {
    routes.get("/debug/history", plain([this](const request& asked) {
                   const auto since = asked.query_number<std::uint64_t>("since", 0, 0, UINT64_MAX);
                   if (!since) return response(http::status::bad_request, "since: a whole number\n");
                   return as_json(history_json(*since));
               }));
    routes.get("/debug/outcome",
               [this](lifecycle::context context, const request&) { return outcome(std::move(context)); });
}

lifecycle::awaitable<response> live_page::outcome(lifecycle::context context) {
    constexpr std::chrono::milliseconds look_again{10};
    const auto until = lifecycle::clock::now() + std::chrono::seconds(10);
    ++waiting_;
    for (bool goes_on = true; goes_on && !ending_ && lifecycle::clock::now() < until;) {
        auto sleeping = lifecycle::sleep_until(context, lifecycle::clock::now() + look_again);
        goes_on = co_await std::move(sleeping);
    }
    --waiting_;
    co_return as_json(from_.outcome ? from_.outcome(ending_) : "null");
}

void live_page::keep_history(const std::stop_token& token, spdlog::logger& log) {
    lifecycle::run_periodically(token, history::interval, "history", log,
                                [this](const std::stop_token&) { history_.add(take_reading(from_)); });
}

void live_page::last_words() noexcept {
    constexpr std::chrono::milliseconds look_again{2}, on_its_way{10};  // from the handler to the socket
    ending_ = true;
    const auto until = lifecycle::clock::now() + lifecycle::last_share.of(from_.stop.options()) / 2;
    const bool somebody = waiting_ > 0;
    while (waiting_ > 0 && lifecycle::clock::now() < until) std::this_thread::sleep_for(look_again);
    if (somebody) std::this_thread::sleep_until(std::min(until, lifecycle::clock::now() + on_its_way));
}

}  // namespace server
