// What a connection says of itself: lines of the access log, and by which rule it was refused.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "server/connection.hpp"
#include "server/loop.hpp"

namespace server {

using lifecycle::cause;

namespace {

using access_line = fmt::basic_memory_buffer<char, 512>;  // on the stack, but for a long target

/// Without inet_ntop(3), which costs more than the rest of an access line.
fmt::basic_memory_buffer<char, 48> address_text(const boost::asio::ip::address& address) {
    fmt::basic_memory_buffer<char, 48> text;
    if (address.is_v4())
        fmt::format_to(std::back_inserter(text), "{}", fmt::join(address.to_v4().to_bytes(), "."));
    else
        text.append(address.to_string());
    return text;
}

}  // namespace

void connection::account(const response& reply) {
    loop_.counts().requests.add();
    auto& metrics = loop_.metrics_of(endpoint_ != nullptr ? endpoint_->index : loop_.endpoints().size() - 1);
    const auto took = now_ - since_;
    metrics.responses[class_of(reply)].add();
    metrics.duration.observe(took);
    if (!limits().access_log || !loop_.env().access->wanted()) return;
    const auto& request = work_->parser.request();
    if (std::ranges::find(limits().access_exclude, request.path) != limits().access_exclude.end()) {
        ++unlogged_;
        return;
    }
    const auto [who, when] = letters(reply);
    const auto client = address_text(peer_.address());
    const bool refused = work_->refused_by != rule::none;
    access_line line;
    fmt::format_to(std::back_inserter(line), "access {} {} {} {} {}us {} {}{}{}{}{}{}",
                   std::string_view(client.data(), client.size()), request.method_name, request.target,
                   static_cast<unsigned>(reply.status),
                   std::chrono::duration_cast<std::chrono::microseconds>(took).count(), request.id, who, when,
                   refused ? " rule " : "", refused ? to_string(work_->refused_by) : std::string_view(),
                   request.trace ? " trace " : "", request.trace.id());
    loop_.log_access({line.data(), line.size()});
}

/// The server itself answers, not a handler.
void connection::refused_by(rule by) noexcept {
    work_->refused_by = by;
    loop_.counts().refused[static_cast<std::size_t>(by)].add();
}

/// The line of an answer to what is no request. Of its bytes only a method and a target that are sound are shown.
void connection::log_refusal(rule by, http::status code) {
    if (!limits().access_log || !loop_.env().access->wanted()) return;
    const bool known = work_->parser.knows_line();
    const auto& request = work_->parser.request();
    const auto client = address_text(peer_.address());
    access_line line;
    fmt::format_to(std::back_inserter(line), "access {} {} {} {} {}us - {}{} rule {}",
                   std::string_view(client.data(), client.size()), known ? request.method_name : "-",
                   known ? request.target : "-", static_cast<unsigned>(code),
                   std::chrono::duration_cast<std::chrono::microseconds>(now_ - since_).count(), end_.who, end_.when,
                   to_string(by));
    loop_.log_access({line.data(), line.size()});
}

connection::ending_letters connection::letters(const response& reply) const {
    const auto cause = work_->scope.get().why();
    if (forced_) return {'K', 'H'};
    if (cause == cause::client_gone || set_the_deadline(reply)) return {'C', 'H'};
    if (reply.status == http::status::gateway_timeout) return {'T', 'H'};
    if (reply.status == http::status::internal_server_error) return {'S', 'H'};
    if (reply.status == http::status::service_unavailable) return {'R', 'R'};
    return {loop_.stopping() ? 'D' : '-', '-'};
}

/// One line a connection, beside the access log: were these resets ours?
void connection::log_end() {
    if (!limits().access_log || !loop_.env().access->wanted() || (served_ > 0 && unlogged_ == served_)) return;
    const auto client = address_text(peer_.address());
    access_line line;
    fmt::format_to(std::back_inserter(line), "closed {} after {} requests {}{}",
                   std::string_view(client.data(), client.size()), served_, end_.who, end_.when);
    loop_.log_access({line.data(), line.size()});
}

}  // namespace server
