#include "cmd/service/telemetry/request_series.hpp"

#include <algorithm>
#include <charconv>

#include "cmd/service/telemetry/wire.hpp"

namespace telemetry {
namespace {

namespace http = server::http;

/// Those that the conventions know (http/http-spans.md).
bool is_known(http::verb method) noexcept {
    using enum http::verb;
    constexpr std::array known{get, head, post, put, delete_, connect, options, trace, patch};
    return std::ranges::find(known, method) != known.end();
}

}  // namespace

std::size_t write_alike(const request_kind& kind, char* begin, std::size_t size) noexcept {
    wire_writer to(begin, begin + size);
    const auto route = kind.route();
    const auto method = kind.method_name();
    to.varint(5 << 3 | 2);  // name
    const auto verb = method == "_OTHER" ? std::string_view("HTTP") : method;
    to.varint(verb.size() + (route.empty() ? 0 : 1 + route.size()));
    to.raw(verb);
    if (!route.empty()) {
        to.raw(" ");
        to.raw(route);
    }
    to.number(6, 2);  // SPAN_KIND_SERVER
    const attributes all(to, 9);
    std::array<char, 3> room;
    const auto error = kind.error_type(room);
    all.text("http.request.method", method);
    if (!route.empty()) all.text("http.route", route);
    all.text("url.scheme", kind.scheme());
    all.text("network.protocol.version", kind.protocol_version());
    if (kind.status != 0) all.number("http.response.status_code", kind.status);
    if (!error.empty()) all.text("error.type", error);
    if (kind.status >= 500 || kind.failed == request_kind::fault::shutdown) {
        const auto status = to.open(15);
        to.number(3, 2);  // STATUS_CODE_ERROR
        to.close(status);
    }
    return to.fits() ? to.size() : 0;
}

request_kind request_kind::of(const server::answer_row& row) noexcept {
    return {.to = row.to,
            .method = is_known(row.of->method) ? row.of->method : http::verb::unknown,
            .status = static_cast<unsigned>(row.status),
            .version = row.of->version,
            .secure = row.of->scheme == "https",
            .failed = row.digit == 0           ? fault::client_gone
                      : row.letters.who == 'K' ? fault::shutdown
                                               : fault::none};
}

std::string_view request_kind::route() const noexcept {
    if (to == nullptr) return {};
    const std::string_view name(to->name);
    const auto blank = name.find(' ');
    return blank == name.npos ? std::string_view() : name.substr(blank + 1);
}

std::string_view request_kind::method_name() const noexcept {
    if (method == http::verb::unknown) return "_OTHER";
    const auto name = http::to_string(method);
    return {name.data(), name.size()};
}

std::string_view request_kind::protocol_version() const noexcept {
    return version == 20 ? "2" : version == 10 ? "1.0" : "1.1";
}

std::string_view request_kind::error_type(std::array<char, 3>& room) const noexcept {
    if (failed == fault::client_gone) return "client_gone";
    if (failed == fault::shutdown) return "shutdown";
    if (status < 500 || status > 999) return {};
    std::to_chars(room.data(), room.data() + room.size(), status);
    return {room.data(), room.size()};
}

void request_series::series::observe(std::chrono::nanoseconds took) noexcept {
    const double seconds = std::chrono::duration<double>(took).count();
    std::size_t at = 0;
    while (at < bounds.size() && seconds > bounds[at]) ++at;
    counts[at].add();
    nanoseconds.add(static_cast<std::uint64_t>(took.count()));
}

void request_series::series::add_to(values& all) const noexcept {
    for (std::size_t at = 0; at < counts.size(); ++at) all.counts[at] += counts[at].get();
    all.sum += static_cast<double>(nanoseconds.get()) / 1e9;
}

request_series::request_series() : all_(std::make_unique<series[]>(most + 1)) {}

std::size_t request_series::hash(const request_kind& kind) noexcept {
    auto bits = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(kind.to));
    bits ^= std::uint64_t{kind.status} << 48 ^ static_cast<std::uint64_t>(kind.method) << 40;
    bits ^=
        std::uint64_t{kind.version} << 32 ^ std::uint64_t{kind.secure} ^ static_cast<std::uint64_t>(kind.failed) << 1;
    return bits * 0x9e37'79b9'7f4a'7c15U >> 48;
}

request_series::series& request_series::of(const request_kind& kind) noexcept {
    auto used = used_.load(std::memory_order_relaxed);
    auto at = hash(kind) % slots_.size();
    for (; slots_[at] != 0; at = (at + 1) % slots_.size())
        if (auto& known = all_[slots_[at] - 1U]; known.kind == kind) return known;
    if (used > most) return all_[most];
    auto& fresh = all_[used];
    fresh.kind = kind;
    fresh.overflow = used == most;
    if (!fresh.overflow) {
        fresh.alike_size = write_alike(kind, fresh.alike.data(), fresh.alike.size());
        slots_[at] = static_cast<std::uint16_t>(used + 1);
    }
    used_.store(used + 1, std::memory_order_release);
    return fresh;
}

}  // namespace telemetry
