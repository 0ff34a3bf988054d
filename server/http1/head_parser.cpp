#include "server/http1/head_parser.hpp"

#include <algorithm>
#include <boost/beast/http/rfc7230.hpp>
#include <cassert>
#include <charconv>
#include <ostream>  // Beast's string view uses and does not include it
#include <utility>

#include "server/head.hpp"
#include "server/scan.hpp"
#include "server/target.hpp"

namespace server {
namespace {

constexpr std::size_t max_empty_lines = 4;  // before a request; RFC 9112 section 2.2 asks for at least one

}  // namespace

void head_parser::reset_head() noexcept {
    if (!known_.any()) request_.fields.clear();
    request_.parameters.clear();
    request_.id = {};
    if (auto& trace = request_.trace) {  // its memory stays: a new one would be moved in by some fifty instructions
        trace.parent.clear();
        trace.state.clear();
        trace.ids = {};
    }
    skipped_ = scanned_ = head_size_ = length_ = 0;
    chunks_.reset();
    request_id_ = request_timeout_ = traceparent_ = nowhere;
    begun_ = expects_continue_ = keep_alive_ = knows_line_ = false;
}

head_parser::progress head_parser::refuse(rule by) noexcept {
    refused_by_ = by;
    keep_alive_ = false;
    return progress::refused;
}

[[gnu::flatten]] head_parser::progress head_parser::read_head(char* data, std::size_t size) {
    while (!begun_ && skipped_ < size) {
        if (data[skipped_] != '\r') {
            begun_ = true;
            scanned_ = skipped_;
            if (!scan::is<byte_kind::token>(data[skipped_])) return refuse(rule::request_line);
            break;
        }
        if (size - skipped_ < 2) return progress::need_more;
        if (data[skipped_ + 1] != '\n' || skipped_ >= 2 * max_empty_lines) return refuse(rule::line_end);
        skipped_ += 2;
    }
    if (!begun_) return progress::need_more;
    if (scanned_ == skipped_ && read_head_at_once({data + skipped_, size - skipped_})) return progress::complete;

    const auto from = std::max(skipped_, scanned_ < 3 ? 0 : scanned_ - 3);
    const auto end = std::string_view(data, size).find("\r\n\r\n", from);
    const bool whole = end != std::string_view::npos;
    const auto head_end = whole ? end + 4 : size;
    if (whole && head_end - skipped_ <= limits_->max_header_bytes) {
        head_size_ = head_end;
        const auto result = check_head({data + skipped_, head_size_ - skipped_});
        if (result != progress::refused) return result;
        head_size_ = 0;
    }
    if (const auto fault = first_fault({data + skipped_, head_end - skipped_})) return refuse(*fault);
    scanned_ = size;
    return whole ? progress::refused : progress::need_more;
}

/// At the first look, for that is when most heads are whole. What is not whole, or wrong, is gone through again: which
/// of the two, and why, takes more looking.
bool head_parser::read_head_at_once(std::string_view bytes) {
    const auto found = try_head(bytes, limits_->max_headers, request_, known_.text());
    if (found.size != 0 && found.size <= limits_->max_header_bytes) {
        head_size_ = skipped_ + found.size;
        const char* const base = bytes.data() - skipped_;
        if (found.fields_known && know_again(base)) return true;
        if (!found.fields_known && check_meaning(base) != progress::refused) {
            learn(bytes.substr(0, found.size));
            return true;
        }
        head_size_ = 0;
    }
    known_.forget();
    return false;
}

/// What the fields come to is known too. False: the target is at fault.
bool head_parser::know_again(const char* base) {
    base_ = base;
    const auto& known = known_.what();
    request_.host = known.host;
    length_ = known.length;
    keep_alive_ = known.keep_alive;
    request_id_ = known.request_id;
    request_timeout_ = known.request_timeout;
    traceparent_ = known.traceparent;
    knows_line_ = request_.target.size() <= limits_->max_target_bytes;
    known_.met();
    return !check_target();
}

/// Of the usual form alone: a Host that the target does not replace, and a body whose end is known.
void head_parser::learn(std::string_view head) {
    known_.forget();
    if (!known_.are_worth_learning()) return;
    if (request_.version != 11 || request_.target.front() != '/' || chunks_ || expects_continue_) return;
    const auto first = static_cast<std::size_t>(request_.fields.front().name.data() - head.data());
    known_.learn(head.substr(first), request_,
                 {.host = request_.host,
                  .length = length_,
                  .request_id = request_id_,
                  .request_timeout = request_timeout_,
                  .traceparent = traceparent_,
                  .keep_alive = keep_alive_});
}

/// What can be said of a head before it is whole: a slow sender is told at once. The fault of the
/// earliest byte counts, so that the answer does not depend on how the bytes were cut on their way.
std::optional<rule> head_parser::first_fault(std::string_view head) const noexcept {
    std::optional<rule> fault;
    auto at = head.size();
    const auto note = [&](std::size_t where, rule by) {
        if (where >= at) return;
        at = where;
        fault = by;
    };
    const auto line = head.substr(0, head.find('\r'));
    const auto target = std::min(line.find(' '), line.size()) + 1;
    const auto target_end = std::min(line.find(' ', target), line.size());
    const auto largest = limits_->max_header_bytes;
    if (target_end > target + limits_->max_target_bytes)
        note(target + limits_->max_target_bytes, rule::max_target_bytes);
    const bool in_target = target <= largest && target_end > largest;
    note(largest, in_target ? rule::max_target_bytes : rule::max_header_bytes);
    for (auto lf = head.find('\n', scanned_ - skipped_); lf < at; lf = head.find('\n', lf + 1))
        if (lf == 0 || head[lf - 1] != '\r') note(lf, rule::line_end);
    return fault;
}

head_parser::progress head_parser::check_head(std::string_view head) {
    if (const auto fault = parse_head(head, limits_->max_headers, request_)) return refuse(*fault);
    return check_meaning(head.data() - skipped_);
}

/// Of the fields and the target of a whole head in the bytes at `base`.
head_parser::progress head_parser::check_meaning(const char* base) {
    base_ = base;
    knows_line_ = request_.target.size() <= limits_->max_target_bytes;
    if (const auto fault = check_framing()) return refuse(*fault);
    if (const auto fault = check_target()) return refuse(*fault);
    return progress::complete;
}

/// Whether it is nothing but the strictness that it fails by.
static rule fault_of_target(std::string_view target, target_rules how) {
    std::string storage;
    target_parts parts;
    const bool strict = std::exchange(how.strict, false);
    return strict && split_target(target, how, storage, parts) ? rule::strict_targets : rule::target;
}

std::optional<rule> head_parser::check_target() {
    if (request_.target.size() > limits_->max_target_bytes) return rule::max_target_bytes;
    target_parts parts;
    const target_rules how{.connect = request_.method == http::verb::connect,
                           .options = request_.method == http::verb::options,
                           .strict = limits_->strict_targets};
    if (!split_target(request_.target, how, path_storage_, parts)) return fault_of_target(request_.target, how);
    request_.path = parts.path;
    request_.query = parts.query;
    if (!parts.authority.empty()) request_.host = parts.authority;  // RFC 9112 section 3.2.2
    if (request_.method == http::verb::unknown) return rule::method;
    return std::nullopt;
}

/// RFC 9112 section 9.3, all `Connection` lines together.
bool head_parser::wants_keep_alive() const {
    bool keep = request_.version >= 11;
    for (const auto& field : request_.fields) {
        if (field.known != http::field::connection) continue;
        http::token_list options({field.value.data(), field.value.size()});
        if (options.exists("close")) return false;
        if (options.exists("keep-alive")) keep = true;
    }
    return keep;
}

/// RFC 9112 section 6.3: where chunked is not the last coding the end of the body is not known; section 6.1: other
/// codings are ones that this server does not have.
static rule refusal_of_coding(std::string_view coding) {
    const auto comma = coding.rfind(',');
    if (comma == coding.npos) return rule::transfer_encoding;
    const auto first = coding.find_first_not_of(" \t", comma + 1);
    if (first == coding.npos || !same_name(coding.substr(first), "chunked")) return rule::transfer_encoding;
    return rule::transfer_coding;
}

/// Fields that Beast's table does not have, and every request is asked for. The first of a name counts.
void head_parser::note_own(std::size_t nth) noexcept {
    const auto name = request_.fields[nth].name;
    const auto note = [&](std::size_t& place, std::string_view wanted) {
        if (name.size() == wanted.size() && place == nowhere && same_name(name, wanted)) place = nth;
    };
    note(request_id_, "X-Request-Id");
    note(request_timeout_, "X-Request-Timeout");
    note(traceparent_, "traceparent");
}

static std::optional<rule> read_length(std::string_view value, std::uint64_t& length) {
    const auto* const end = value.data() + value.size();
    const auto [at, error] = std::from_chars(value.data(), end, length);
    // RFC 9110 section 8.6: beyond what 64 bits can count is not malformed, but too much.
    if (error == std::errc::result_out_of_range && at == end) return rule::max_body_bytes;
    if (error != std::errc{} || at != end) return rule::content_length;
    return std::nullopt;
}

/// Where the message ends (RFC 9112 section 6), and the Host field (section 3.2). From the head
/// alone: trailers can change none of it.
std::optional<rule> head_parser::check_framing() {
    unsigned hosts = 0, lengths = 0, codings = 0, connections = 0;
    std::string_view coding;
    request_.host = {};
    std::optional<rule> fault;
    request_id_ = request_timeout_ = traceparent_ = nowhere;
    for (const auto& field : request_.fields) {
        switch (field.known) {
            case http::field::host:
                ++hosts;
                request_.host = field.value;
                if (!is_authority(field.value)) fault = rule::host;
                break;
            case http::field::content_length:
                ++lengths;
                if (const auto wrong = read_length(field.value, length_)) fault = wrong;
                break;
            case http::field::connection: ++connections; [[fallthrough]];
            case http::field::proxy_connection:
                if (!http::validate_list(http::opt_token_list({field.value.data(), field.value.size()})))
                    fault = rule::connection;
                break;
            case http::field::transfer_encoding:
                ++codings;
                coding = field.value;
                break;
            case http::field::expect:
                if (request_.version < 11) break;
                expects_continue_ = same_name(field.value, "100-continue");
                if (!expects_continue_ && !fault) fault = rule::expect;
                break;
            case http::field::unknown: note_own(static_cast<std::size_t>(&field - request_.fields.data())); break;
            default: break;
        }
    }
    if (hosts > 1 || (hosts == 0 && request_.version >= 11)) return rule::host;
    if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0)) return rule::framing;
    if (fault) return fault;
    if (codings == 1) {
        if (request_.version < 11) return rule::transfer_encoding;
        if (!same_name(coding, "chunked")) return refusal_of_coding(coding);
        chunks_.emplace(*limits_);
    }
    keep_alive_ = connections > 0 ? wants_keep_alive() : request_.version >= 11;
    return std::nullopt;
}

/// The buffer may have grown, and so moved, while the body came: the views go with it.
void head_parser::move_views(const char* data) noexcept {
    const auto move = [this, data](std::string_view& text) {
        if (text.data() >= base_ && text.data() <= base_ + head_size_)
            text = {data + (text.data() - base_), text.size()};
    };
    for (auto* text : {&request_.method_name, &request_.target, &request_.path, &request_.query, &request_.host})
        move(*text);
    if (!known_.any())
        for (auto& field : request_.fields) {
            move(field.name);
            move(field.value);
        }
    base_ = data;
}

}  // namespace server
