#include "server/http2/header_block.hpp"

#include <algorithm>
#include <charconv>

#include "server/field_names.hpp"
#include "server/forget.hpp"
#include "server/target.hpp"

namespace server::http2 {

void header_block::renew() noexcept {
    for (auto* text : {&head_, &trailers_, &cookies_, &path_storage_, &timeout_}) forget(*text);
    places_.clear();
    method_ = path_ = scheme_ = authority_ = protocol_ = {};
    list_size_ = 0;
    id_ = {};
    announced_.reset();
    made_ = is_traced_ = is_grpc_ = expects_continue_ = false;
}

rule header_block::add(std::string_view name, std::string_view value, const options& limits) {
    skip(name, value);
    if (list_size_ > limits.max_header_bytes) return rule::max_header_bytes;
    if (!name.empty() && name.front() == ':') {
        add_pseudo(name, value);
        return rule::none;
    }
    if (places_.size() >= limits.max_headers) return rule::max_headers;
    if (!made_ && name == "cookie") {  // RFC 9113 section 8.2.3: one field is what handlers know
        if (!cookies_.empty()) cookies_ += "; ";
        cookies_ += value;
        return rule::none;
    }
    auto& bytes = made_ ? trailers_ : head_;
    const pair pair{.name = {bytes.size(), name.size()}, .value = {bytes.size() + name.size(), value.size()}};
    bytes.append(name).append(value);
    places_.push_back(pair);
    return rule::none;
}

void header_block::add_pseudo(std::string_view name, std::string_view value) {
    const place place{head_.size(), value.size()};
    head_ += value;
    if (name == ":method") method_ = place;
    if (name == ":path") path_ = place;
    if (name == ":scheme") scheme_ = place;
    if (name == ":authority") authority_ = place;
    if (name == ":protocol") protocol_ = place;
}

/// What every answer looks for.
void header_block::note(const request::field& field) {
    const auto& [known, name, value] = field;
    if (known == http::field::content_type && value.starts_with("application/grpc")) is_grpc_ = true;
    if (known == http::field::expect) expects_continue_ = same_name(value, "100-continue");
    if (known == http::field::content_length) {
        std::uint64_t number = 0;
        if (std::from_chars(value.data(), value.data() + value.size(), number).ec == std::errc{}) announced_ = number;
    }
    if (known != http::field::unknown) return;
    if (name == "x-request-id" && id_.data() == nullptr) id_ = value;
    if (name == "x-request-timeout" && timeout_.empty()) timeout_ = value;
    if (name == "traceparent") is_traced_ = true;
    if (name == "grpc-timeout") take_grpc_timeout(value);
}

/// At most eight digits and a unit, as "gRPC over HTTP2" has it. What is not one is as if it were not there.
void header_block::take_grpc_timeout(std::string_view text) {
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

void header_block::make_request(request& into) {
    if (!cookies_.empty()) {
        places_.push_back({.name = {head_.size(), 6}, .value = {head_.size() + 6, cookies_.size()}});
        head_.append("cookie").append(cookies_);
    }
    const auto at_place = [this](place place) { return std::string_view(head_).substr(place.at, place.size); };
    made_ = true;
    into.version = 20;
    for (const auto& place : places_) {
        const auto name = at_place(place.name);
        const auto known = known_field(name, head_.data() + head_.size());
        into.fields.push_back({.known = known, .name = name, .value = at_place(place.value)});
    }
    places_.clear();
    into.method_name = at_place(method_);
    into.method = http::string_to_verb({into.method_name.data(), into.method_name.size()});
    if (into.method == http::verb::connect && protocol_.size > 0) {
        into.method = http::verb::get;
        into.protocol = at_place(protocol_);
    }
    into.target = into.path = at_place(path_);
    into.scheme = at_place(scheme_) == "https" ? "https" : "http";
    into.host = at_place(authority_);
    for (const auto& field : into.fields) note(field);
}

rule header_block::check(request& made, const options& limits) {
    if (made.method == http::verb::unknown || made.method == http::verb::connect) return rule::method;
    if (made.target.size() > limits.max_target_bytes) return rule::max_target_bytes;
    unsigned hosts = 0;
    for (const auto& [known, name, value] : made.fields) {
        if (known != http::field::host) continue;
        ++hosts;
        if (authority_.size > 0 && !same_name(value, made.host)) return rule::host;
        made.host = value;
    }
    if (hosts > 1 || made.host.empty() || !is_authority(made.host)) return rule::host;
    target_parts parts;
    const target_rules how{.options = made.method == http::verb::options, .strict = limits.strict_targets};
    if (!split_target(made.target, how, path_storage_, parts) || !parts.authority.empty()) return rule::target;
    made.path = parts.path;
    made.query = parts.query;
    return rule::none;
}

void header_block::add_trailers(request& to) {
    for (const auto& [name, value] : places_) {
        const auto field = std::string_view(trailers_).substr(name.at, name.size);
        to.trailers.push_back({known_field(field), field, std::string_view(trailers_).substr(value.at, value.size)});
    }
    places_.clear();
}

}  // namespace server::http2
