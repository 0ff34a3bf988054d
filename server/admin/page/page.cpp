#include "server/admin/page/page.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <map>
#include <random>

namespace server {

namespace json = boost::json;

namespace {

/// For this answer alone: whoever gets a script into the text of the page does not know it (CSP Level 3, section 7.1).
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

/// What somebody without script wants to know first.
std::string figures(const debug_sources& from) {
    const auto app = from.app.now();
    const auto stop = from.stop.now();
    const auto backlog = from.backlog ? from.backlog() : std::pair<double, double>{0, 0};
    std::string list;
    const auto row = [&list](std::string_view what, const std::string& value) {
        fmt::format_to(std::back_inserter(list), "<dt>{}</dt><dd>{}</dd>\n", what, escape_html(value));
    };
    row("phase", std::string(lifecycle::to_string(stop.phase)));
    if (!stop.cause.empty()) row("stop begun by", fmt::format("{}, {} ms left", stop.cause, stop.left.count()));
    row("requests answered", fmt::format("{}, {} refused", app.requests, app.refused));
    row("in flight", std::to_string(app.in_flight));
    row("latency since the start", fmt::format("p50 within {} ms, p99 within {} ms", app.p50 * 1e3, app.p99 * 1e3));
    row("connections", fmt::format("{} open, {} idle, {} accepted", app.open, app.idle, app.accepted));
    row("events to deliver", fmt::format("{:.0f}", backlog.first));
    row("threads", std::to_string(from.workers.live()));
    return list;
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

response live_page(const debug_sources& from, std::string_view index) {
    const auto nonce = make_nonce();
    const auto build = json::parse(from.build).as_object();
    const auto text = [&build](const char* key) {
        const auto* const found = build.if_contains(key);
        return found != nullptr && found->is_string() ? escape_html(found->as_string()) : std::string();
    };
    auto html = filled(page_template(), {{"nonce", nonce},
                                         {"name", text("name")},
                                         {"version", text("version") + ' ' + text("revision")},
                                         {"phase", std::string(lifecycle::to_string(from.stop.phase()))},
                                         {"figures", figures(from)},
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

}  // namespace server
