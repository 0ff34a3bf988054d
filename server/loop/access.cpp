#include "server/loop/access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/container/static_vector.hpp>
#include <charconv>
#include <cstring>
#include <new>
#include <utility>

#include "server/copy_text.hpp"

namespace server {

namespace asio = boost::asio;
using lifecycle::clock;
using lifecycle::log_fact;
using std::chrono::duration_cast;

namespace {

/// A line with `{}` for each value, taken apart by the compiler.
template <std::size_t Size>
struct pattern {
    consteval pattern(const char (&from)[Size]) { std::copy_n(from, Size, text.data()); }  // not explicit: a literal
    constexpr std::string_view view() const { return {text.data(), Size - 1}; }
    std::array<char, Size> text{};
};

constexpr std::size_t longest_number = 20;

std::size_t longest(std::string_view text) noexcept { return text.size(); }
constexpr std::size_t longest(char) noexcept { return 1; }
constexpr std::size_t longest(std::uint64_t) noexcept { return longest_number; }
constexpr std::size_t longest(const socket_address&) noexcept { return longest_address; }

char* put_value(char* at, std::string_view text) noexcept { return copy_text(at, text); }
char* put_value(char* at, char letter) noexcept {
    *at = letter;
    return at + 1;
}
char* put_value(char* at, std::uint64_t number) noexcept { return std::to_chars(at, at + longest_number, number).ptr; }
char* put_value(char* at, const socket_address& address) { return put_address(at, address); }

/// Room is made once for all of it.
template <pattern Pattern, class... Values>
void put(line_text& line, const Values&... values) {
    static constexpr auto pieces = [] {
        std::array<std::string_view, sizeof...(values) + 1> found;
        auto left = Pattern.view();
        for (std::size_t nth = 0; nth < sizeof...(values); ++nth) {
            const auto hole = left.find("{}");
            found[nth] = left.substr(0, hole);
            left.remove_prefix(hole + 2);
        }
        found.back() = left;
        return found;
    }();
    char* at = line.room((Pattern.view().size() + ... + longest(values)));
    const auto put_piece = [&]<std::size_t Nth>() {  // its size is a constant
        std::memcpy(at, pieces[Nth].data(), pieces[Nth].size());
        at += pieces[Nth].size();
    };
    const auto put_all = [&]<std::size_t... Nth>(std::index_sequence<Nth...>) {
        ((put_piece.template operator()<Nth>(), at = put_value(at, values)), ...);
    };
    put_all(std::index_sequence_for<Values...>());
    put_piece.template operator()<sizeof...(values)>();
    line.end(at);
}

/// nullptr: the peer is the client.
const socket_address* peer_beside(const socket_address& client, const connection_parts& of) {
    return &client == &of.peer() || client == of.peer() ? nullptr : &of.peer();
}

/// Who a connection works for, and its peer, which mostly is the same: as facts.
struct address_texts {
    address_texts(std::string_view text_of_client, const connection_parts& of) : client(text_of_client) {
        if (const auto* const other = peer_beside(of.client(), of)) put<"{}">(beside, *other);
    }
    std::string_view peer() const { return beside.view().empty() ? client : beside.view(); }
    std::string_view client;
    line_text beside;
};

/// Nothing of what was no request.
std::string_view protocol_of(const request* asked) noexcept {
    if (asked == nullptr) return {};
    return asked->version == 20 ? "HTTP/2" : asked->version == 10 ? "HTTP/1.0" : "HTTP/1.1";
}

std::uint64_t in_microseconds(clock::duration time) {
    return static_cast<std::uint64_t>(duration_cast<std::chrono::microseconds>(time).count());
}

}  // namespace

void loop_access_log::client_text::write(const socket_address& client) {
    size_ = 0;  // until it is written, for which there may be no memory
    size_ = static_cast<std::size_t>(put_address(text_.data(), client) - text_.data());
    known_ = client;
}

bool loop_access_log::add_answer(const answer_row& row, const connection_parts& of) {
    const auto& excluded = of.limits().access_exclude;
    if (std::ranges::find(excluded, row.of->path) != excluded.end()) return false;
    if (env_.access->wants_facts()) {
        add_facts(row, of);
        return true;
    }
    line_text line;
    const auto& client = of.client();
    put<"access {} {} {} {} {}us {} {}{}">(line, client_.of(client), row.of->method_name, row.of->target,
                                           static_cast<std::uint64_t>(row.status), in_microseconds(row.took),
                                           row.of->id, row.letters.who, row.letters.when);
    if (row.refused_by != rule::none) put<" rule {}">(line, to_string(row.refused_by));
    if (row.of->trace) put<" trace {}">(line, row.of->trace.id());
    if (const auto subject = of.subject(); !subject.empty()) put<" subject {}">(line, subject);
    if (const auto* const peer = peer_beside(client, of)) put<" peer {}">(line, *peer);
    add(row.since + row.took, line.view());
    return true;
}

void loop_access_log::refused(const answer_row& row, const connection_parts& of) {
    if (!wants(of)) return;
    if (env_.access->wants_facts()) return add_facts(row, of);
    line_text line;
    const auto& client = of.client();
    const bool known = row.of != nullptr;
    put<"access {} {} {} {} {}us - {}{} rule {}">(line, client_.of(client), known ? row.of->method_name : "-",
                                                  known ? row.of->target : "-", static_cast<std::uint64_t>(row.status),
                                                  in_microseconds(row.took), row.letters.who, row.letters.when,
                                                  to_string(row.refused_by));
    if (const auto* const peer = peer_beside(client, of)) put<" peer {}">(line, *peer);
    add(row.since + row.took, line.view());
}

/// The same as the line of text, each value by its name: what is empty has no field.
void loop_access_log::add_facts(const answer_row& row, const connection_parts& of) noexcept try {
    const address_texts shown(client_.of(of.client()), of);
    const bool known = row.of != nullptr;
    const std::array letters{row.letters.who, row.letters.when};
    boost::container::static_vector<log_fact, 16> facts{
        log_fact("server", env_.name),
        log_fact("client", shown.client),
        log_fact("method", known ? row.of->method_name : std::string_view()),
        log_fact("target", known ? row.of->target : std::string_view()),
        log_fact("protocol", protocol_of(row.of)),
        log_fact("route", row.to != nullptr ? std::string_view(row.to->name) : std::string_view()),
        log_fact("status", static_cast<std::uint64_t>(row.status)),
        log_fact::of_microseconds("duration_ms", in_microseconds(row.took)),
    };
    if (row.bytes) facts.push_back(log_fact("bytes", *row.bytes));
    if (known) facts.push_back(log_fact("request_id", row.of->id));
    if (known && row.of->trace) {
        facts.push_back(log_fact("trace_id", row.of->trace.id()));
        facts.push_back(log_fact("span_id", row.of->trace.span()));
    }
    facts.push_back(log_fact("ending", std::string_view(letters.data(), letters.size())));
    if (row.refused_by != rule::none) facts.push_back(log_fact("rule", to_string(row.refused_by)));
    if (const auto subject = of.subject(); !subject.empty()) facts.push_back(log_fact("subject", subject));
    facts.push_back(log_fact("peer", shown.peer()));
    add(row.since + row.took, "access", {facts.data(), facts.size()});
} catch (const std::bad_alloc&) {}  // nor for this line

void loop_access_log::ended(const connection_parts& of) noexcept try {
    if (!wants(of) || of.unlogged()) return;
    const auto [who, when] = of.ending();
    if (env_.access->wants_facts()) {
        const address_texts shown(client_.of(of.client()), of);
        const std::array letters{who, when};
        const std::array facts{log_fact("server", env_.name), log_fact("client", shown.client),
                               log_fact("requests", std::uint64_t{of.served()}),
                               log_fact("ending", std::string_view(letters.data(), letters.size())),
                               log_fact("peer", shown.peer())};
        return add(clock::now(), "closed", facts);
    }
    line_text line;
    const auto& client = of.client();
    put<"closed {} after {} requests {}{}">(line, client_.of(client), std::uint64_t{of.served()}, who, when);
    if (const auto* const peer = peer_beside(client, of)) put<" peer {}">(line, *peer);
    add(clock::now(), line.view());
} catch (const std::bad_alloc&) {}  // nor for this line

void loop_access_log::add(clock::time_point when, std::string_view text, std::span<const log_fact> facts) noexcept try {
    if (lines_.add(*env_.access, when, text, facts) && !sockets_.looks()) asio::post(io_, [this] { write(); });
} catch (const std::bad_alloc&) {
    write();
}

}  // namespace server
