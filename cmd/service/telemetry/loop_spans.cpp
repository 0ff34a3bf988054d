#include "cmd/service/telemetry/loop_spans.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <random>
#include <utility>

#include "cmd/service/telemetry/wire.hpp"
#include "server/request.hpp"

namespace telemetry {
namespace {

namespace http = server::http;
using lifecycle::clock;

constexpr std::chrono::milliseconds between_looks{1'000};  // a clock that is set shows soon enough
constexpr std::size_t usual_length = 2;                    // bytes of it: a span has from 128 to 16,383 bytes
constexpr std::uint32_t has_is_remote = 0x100, is_remote = 0x200;

/// Sixteen hexadecimal digits, all at once: each nibble gets a byte, and those from 10 on are letters.
void put_hex(char* to, std::uint64_t value) noexcept {
    using digits = std::int8_t __attribute__((vector_size(16)));
    constexpr std::uint64_t nibbles = 0x0F0F'0F0F'0F0F'0F0F;
    const auto bytes = __builtin_bswap64(value);
    const auto high = std::bit_cast<digits>(std::array<std::uint64_t, 2>{bytes >> 4 & nibbles});
    const auto low = std::bit_cast<digits>(std::array<std::uint64_t, 2>{bytes & nibbles});
    const digits all = __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const digits letters = all > std::int8_t{9};  // -1 where it is so
    const digits text = all + std::int8_t{'0'} + (letters & std::int8_t{'a' - '0' - 10});
    std::memcpy(to, &text, sizeof text);
}

std::uint64_t from_hex(std::string_view digits) noexcept {
    std::uint64_t value = 0;
    for (const char c : digits) value = value << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    return value;
}

[[gnu::noinline]] void write_address(const attributes& to, const server::socket_address& of, std::string_view address,
                                     std::string_view port) noexcept {
    if (of.is_unix()) return;
    std::array<char, 48> text;
    const auto ip = of.address();
    std::size_t size = 0;
    if (ip.is_v4()) {
        auto* at = text.data();
        for (const auto byte : ip.to_v4().to_bytes()) {
            at = std::to_chars(at, text.data() + text.size(), static_cast<unsigned>(byte)).ptr;
            *at++ = '.';
        }
        size = static_cast<std::size_t>(at - text.data()) - 1;
    } else {
        const auto bytes = ip.to_v6().to_bytes();
        ::inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
        size = std::char_traits<char>::length(text.data());
    }
    to.text(address, {text.data(), size});
    if (!port.empty() && of.port() != 0) to.number(port, of.port());
}

/// What is alike, for one of more kinds than there is room for, or of a long route.
[[gnu::noinline]] void write_anew(wire_writer& to, const request_kind& kind) noexcept {
    std::array<char, 4 * request_series::largest_template> room;
    to.raw({room.data(), write_alike(kind, room.data(), room.size())});
}

/// "example.com:8080", "[::1]:80".
[[gnu::noinline]] void write_host(const attributes& to, std::string_view host) noexcept {
    const auto colon = host.rfind(':');
    const bool has_port = colon != host.npos && host.find(']', colon) == host.npos;
    auto name = host.substr(0, has_port ? colon : host.size());
    if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
    if (name.empty()) return;
    to.text("server.address", name);
    unsigned port = 0;
    if (!has_port) return;
    const auto digits = host.substr(colon + 1);
    if (std::from_chars(digits.data(), digits.data() + digits.size(), port).ec == std::errc{} && port <= 65'535)
        to.number("server.port", port);
}

}  // namespace

std::string_view redacted(std::string_view query, std::string& room) {
    constexpr std::array secrets{"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"};
    const auto is_secret = [&](std::string_view item) {
        return std::ranges::find(secrets, item.substr(0, item.find('='))) != secrets.end();
    };
    const auto for_each = [query](const auto& see) {
        for (auto left = query; !left.empty();) {
            const auto end = std::min(left.find('&'), left.size());
            see(left.substr(0, end), end < left.size());
            left.remove_prefix(std::min(end + 1, left.size()));
        }
    };
    bool any = false;
    for_each([&](std::string_view item, bool) { any = any || is_secret(item); });
    if (!any) return query;
    room.clear();
    for_each([&](std::string_view item, bool more) {
        room += is_secret(item) ? item.substr(0, item.find('=')) : item;
        if (is_secret(item)) room += "=REDACTED";
        if (more) room += '&';
    });
    return room;
}

random_ids::random_ids() {
    std::random_device random;
    for (auto& word : state_) word = std::uint64_t{random()} << 32 | random();
    state_[0] |= 1;  // not all 0
}

std::uint64_t random_ids::next() noexcept {
    auto& s = state_;
    const auto made = std::rotl(s[0] + s[3], 23) + s[0];
    const auto t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = std::rotl(s[3], 45);
    return made != 0 ? made : 1;
}

loop_spans::loop_spans(std::shared_ptr<loop_records> to, std::shared_ptr<const span_settings> settings)
    : to_(std::move(to)), settings_(std::move(settings)) {
    room_.reserve(longest_text);
    host_.reserve(longest_text);
}

/// A trace that is begun here has an id at random, and says so (W3C Trace Context, Level 2, section 3.2.2.4).
void loop_spans::begin(server::request& asked, bool traced) noexcept try {
    auto& trace = asked.trace;
    auto& ids = trace.ids;
    ids.span = ids_.next();
    std::array<char, 55> text;
    std::string_view caller;
    if (traced) {
        put_hex(text.data(), ids.span);
        caller = server::continue_trace(asked, {text.data(), 16}, trace);
    }
    const bool has_parent = !caller.empty();
    if (has_parent) {
        ids.high = from_hex(trace.id().substr(0, 16));
        ids.low = from_hex(trace.id().substr(16));
        ids.caller = from_hex(caller);
        const bool sampled = settings_->sampling.samples(true, trace.sampled(), ids.low);
        auto& flags = trace.parent.back();
        flags = static_cast<char>('0' + ((flags - '0') & 2) + (sampled ? 1 : 0));
        return;
    }
    ids.high = ids_.next();
    ids.low = ids_.next();
    ids.caller = 0;
    const bool sampled = settings_->sampling.samples(false, false, ids.low);
    std::memcpy(text.data(), "00-", 3);
    put_hex(text.data() + 3, ids.high);
    put_hex(text.data() + 19, ids.low);
    text[35] = '-';
    put_hex(text.data() + 36, ids.span);
    text[52] = '-';
    text[53] = '0';
    text[54] = sampled ? '3' : '2';
    trace.parent.assign(text.data(), text.size());
} catch (...) {  // no memory: then it is part of no trace
    asked.trace.parent.clear();
}

void loop_spans::end(const server::answer_row& row) noexcept {
    auto& series = to_->series.of(request_kind::of(row));
    if (settings_->measures) series.observe(row.took);
    if (!settings_->records || !row.of->trace.sampled()) return;
    record(row, series);
    if (++since_wake_ < settings_->wake_after) return;
    since_wake_ = 0;
    settings_->wake();
}

std::string_view loop_spans::of_host(std::string_view host) noexcept {
    host = host.substr(0, longest_text);
    if (host != host_) {
        host_.assign(host);  // there is room
        wire_writer to(host_bytes_.data(), host_bytes_.data() + host_bytes_.size());
        write_host(attributes(to, 9), host);
        host_size_ = to.fits() ? to.size() : 0;
    }
    return {host_bytes_.data(), host_size_};
}

std::string_view loop_spans::of_peer(const server::socket_address& peer) noexcept {
    if (peer.is_unix()) return {};
    auto& known = peers_[peer.port() % most_peers];
    if (known.size == 0 || known.peer != peer) {
        wire_writer to(known.bytes.data(), known.bytes.data() + known.bytes.size());
        write_address(attributes(to, 9), peer, "network.peer.address", "network.peer.port");
        write_address(attributes(to, 9), peer, "client.address", {});
        known.peer = peer;
        known.size = to.size();
    }
    return {known.bytes.data(), known.size};
}

std::uint64_t loop_spans::on_the_wall(clock::time_point when) noexcept {
    if (when >= look_again_) {
        const auto now = clock::now();
        difference_ = std::chrono::system_clock::now().time_since_epoch() - now.time_since_epoch();
        look_again_ = now + between_looks;
    }
    return static_cast<std::uint64_t>((when.time_since_epoch() + difference_).count());
}

/// In line, with all that it calls here: then the writer is in registers, and each key a constant.
[[gnu::flatten]] void loop_spans::record(const server::answer_row& row, const request_series::series& alike) noexcept
    try {
    auto* const at = to_->spans.begin();
    if (at == nullptr) return;
    const auto& asked = *row.of;
    const auto& ids = asked.trace.ids;
    wire_writer to(at, at + record_ring::longest_record);
    const auto span = to.open(2, usual_length);
    to.id(1, ids.high, ids.low);
    to.id(2, ids.span);
    if (!asked.trace.state.empty()) to.bytes(3, asked.trace.state);
    if (ids.caller != 0) to.id(4, ids.caller);
    const auto began = on_the_wall(row.since);
    to.fixed64(7, began);
    to.fixed64(8, began + static_cast<std::uint64_t>(row.took.count()));
    if (alike.alike_size > 0)
        to.raw({alike.alike.data(), alike.alike_size});
    else
        write_anew(to, request_kind::of(row));
    const attributes all(to, 9);
    const auto target = asked.target;
    const bool plain = target.starts_with('/') && target.size() <= longest_text;  // then it is ASCII
    all.text("url.path",
             plain ? target.substr(0, target.find('?'))
                   : sound_text(target.starts_with('/') ? target.substr(0, target.find('?')) : asked.path, room_));
    if (!asked.query.empty()) {
        const auto query = redacted(asked.query, room_);
        all.text("url.query", query.substr(0, longest_text));
    }
    if (asked.method == http::verb::unknown || alike.kind.method == http::verb::unknown)
        all.text("http.request.method_original", asked.method_name.substr(0, longest_text));
    to.raw(of_host(asked.host));
    if (asked.named_client == nullptr) {
        to.raw(of_peer(asked.peer));
    } else {
        write_address(all, asked.client(), "client.address", {});
        write_address(all, asked.peer, "network.peer.address", "network.peer.port");
    }
    if (const auto agent = asked.header(http::field::user_agent); !agent.empty())
        all.text("user_agent.original", sound_text(agent, room_));
    to.fixed32(16, static_cast<std::uint32_t>(asked.trace.parent.back() - '0') | has_is_remote |
                       (ids.caller != 0 ? is_remote : 0));
    to.close(span, usual_length);
    if (to.fits())
        to_->spans.end(to.size());
    else
        to_->spans.drop();
} catch (...) {  // no memory for a text
    to_->spans.drop();
}

}  // namespace telemetry
