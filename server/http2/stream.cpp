#include "server/http2/stream.hpp"

#include <algorithm>
#include <charconv>

#include "server/field_names.hpp"
#include "server/forget.hpp"
#include "server/http2/tunnel.hpp"
#include "server/target.hpp"

namespace server::http2 {
namespace {

constexpr std::size_t overhead = 32;  // of a field, in the size of a list of them: RFC 9113 section 6.5.2

}  // namespace

stream::stream() = default;
stream::~stream() = default;

void stream::renew() noexcept {
    through = nullptr;
    asked.fields.clear();
    asked.trailers.clear();
    asked.parameters.clear();
    asked.body = asked.id = asked.route = asked.query = asked.host = asked.protocol = {};
    asked.named_client = nullptr;
    asked.incoming = nullptr;
    current.incoming = nullptr;
    if (asked.trace) asked.trace = {};
    current.to = nullptr;
    current.reply.renew();
    current.thrown = nullptr;
    current.is_forwarded = current.abandoned = current.left = current.told = false;
    current.refused_by = rule::none;
    for (auto* text : {&body, &head_, &trailers_, &cookies_, &path_storage_, &timeout_}) forget(*text);
    instead = nullptr;
    refused = rule::none;
    received = sent = moved = 0;
    at = size = taken = credit = list_size_ = 0;
    receives = whole = answered = done = streams = source_ended = piece_due = asking = forced = straggled = cut =
        ended_by_us = counted = false;
    made_ = has_body_ = traced_ = grpc_ = expects_continue_ = false;
    places_.clear();
    method_ = path_ = scheme_ = authority_ = protocol_ = {};
    id_field_ = SIZE_MAX;
    announced_.reset();
    id = 0;
}

bool stream::add_field(std::string_view name, std::string_view value, const options& limits) {
    list_size_ += name.size() + value.size() + overhead;
    if (refused != rule::none) return false;
    if (list_size_ > limits.max_header_bytes) {
        refused = rule::max_header_bytes;
        return false;
    }
    if (!name.empty() && name.front() == ':') {
        add_pseudo(name, value);
        return true;
    }
    if (places_.size() >= limits.max_headers) {
        refused = rule::max_headers;
        return false;
    }
    if (!made_ && name == "cookie") {  // RFC 9113 section 8.2.3: one field is what handlers know
        if (!cookies_.empty()) cookies_ += "; ";
        cookies_ += value;
        return true;
    }
    auto& bytes = made_ ? trailers_ : head_;
    const pair pair{.name = {bytes.size(), name.size()}, .value = {bytes.size() + name.size(), value.size()}};
    bytes.append(name).append(value);
    places_.push_back(pair);
    return true;
}

void stream::add_pseudo(std::string_view name, std::string_view value) {
    const place place{head_.size(), value.size()};
    head_ += value;
    if (name == ":method") method_ = place;
    if (name == ":path") path_ = place;
    if (name == ":scheme") scheme_ = place;
    if (name == ":authority") authority_ = place;
    if (name == ":protocol") protocol_ = place;
}

/// What every answer looks for.
void stream::note(std::size_t nth) {
    const auto& [known, name, value] = asked.fields[nth];
    if (known == http::field::content_type && value.starts_with("application/grpc")) grpc_ = true;
    if (known == http::field::expect) expects_continue_ = same_name(value, "100-continue");
    if (known == http::field::content_length) {
        std::uint64_t number = 0;
        if (std::from_chars(value.data(), value.data() + value.size(), number).ec == std::errc{}) announced_ = number;
    }
    if (known != http::field::unknown) return;
    if (name == "x-request-id" && id_field_ == SIZE_MAX) id_field_ = nth;
    if (name == "x-request-timeout" && timeout_.empty()) timeout_ = value;
    if (name == "traceparent") traced_ = true;
    if (name == "grpc-timeout") take_grpc_timeout(value);
}

/// At most eight digits and a unit, as "gRPC over HTTP2" has it. What is not one is as if it were not there.
void stream::take_grpc_timeout(std::string_view text) {
    std::uint64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stopped + 1 != end || text.size() > 9) return;
    switch (*stopped) {
        case 'H': number *= 3'600'000; break;
        case 'M': number *= 60'000; break;
        case 'S': number *= 1'000; break;
        case 'm': break;
        case 'u': number = (number + 999) / 1'000; break;
        case 'n': number = (number + 999'999) / 1'000'000; break;
        default: return;
    }
    timeout_ = std::to_string(std::min<std::uint64_t>(number, 86'400'000)) + "ms";
}

void stream::make_request(const options& limits) {
    if (!cookies_.empty()) {
        places_.push_back({.name = {head_.size(), 6}, .value = {head_.size() + 6, cookies_.size()}});
        head_.append("cookie").append(cookies_);
    }
    const auto at_place = [this](place place) { return std::string_view(head_).substr(place.at, place.size); };
    made_ = true;
    asked.version = 20;
    for (const auto& place : places_) {
        const auto name = at_place(place.name);
        const auto known = known_field(name, head_.data() + head_.size());
        asked.fields.push_back({.known = known, .name = name, .value = at_place(place.value)});
    }
    places_.clear();
    asked.method_name = at_place(method_);
    asked.method = http::string_to_verb({asked.method_name.data(), asked.method_name.size()});
    if (asked.method == http::verb::connect && protocol_.size > 0) {
        asked.method = http::verb::get;
        asked.protocol = at_place(protocol_);
    }
    asked.target = asked.path = at_place(path_);
    asked.scheme = at_place(scheme_) == "https" ? "https" : "http";
    asked.host = at_place(authority_);
    for (std::size_t nth = 0; nth < asked.fields.size(); ++nth) note(nth);
    has_body_ = !whole;
    if (refused != rule::none) return;
    if (const auto fault = first_fault(limits)) refused = *fault;
}

void stream::end_body() {
    whole = true;
    if (!is_taken()) asked.body = body;
    for (const auto& [name, value] : places_) {
        const auto field = std::string_view(trailers_).substr(name.at, name.size);
        asked.trailers.push_back({known_field(field), field, std::string_view(trailers_).substr(value.at, value.size)});
    }
    places_.clear();
}

/// RFC 9113 section 8.3.1. What nghttp2 lets through and a server must refuse, by the rules of HTTP/1.1.
std::optional<rule> stream::first_fault(const options& limits) {
    if (asked.method == http::verb::unknown || asked.method == http::verb::connect) return rule::method;
    if (asked.target.size() > limits.max_target_bytes) return rule::max_target_bytes;
    unsigned hosts = 0;
    for (const auto& [known, name, value] : asked.fields) {
        if (known != http::field::host) continue;
        ++hosts;
        if (authority_.size > 0 && !same_name(value, asked.host)) return rule::host;
        asked.host = value;
    }
    if (hosts > 1 || asked.host.empty() || !is_authority(asked.host)) return rule::host;
    target_parts parts;
    const target_rules how{.options = asked.method == http::verb::options, .strict = limits.strict_targets};
    if (!split_target(asked.target, how, path_storage_, parts) || !parts.authority.empty()) return rule::target;
    asked.path = parts.path;
    asked.query = parts.query;
    return std::nullopt;
}

connection_view stream::view() const noexcept {
    return {.state = state,
            .since = since,
            .deadline = deadline,
            .rests = true,
            .told = current.told,
            .forced = forced,
            .abandoned = current.abandoned,
            .to_be_told = current.to_be_told(),
            .was_told = current.was_told(),
            .receives = receives};
}

}  // namespace server::http2
