// What a loop says of its connections: lines of the access log, and others that clients bring about.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <new>
#include <utility>

#include "lifecycle/lines.hpp"

#include "server/loop_thread.hpp"

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
    std::size_t nth = 0;
    const auto put_one = [&](const auto& value) {
        if (const auto piece = pieces[nth++]; !piece.empty()) line << piece;
        line << value;
    };
    (put_one(values), ...);
    line << pieces.back();
}

/// nullptr: the peer is the client.
const socket_address* peer_beside_client(const connection& connection) {
    return connection.client() == connection.peer() ? nullptr : &connection.peer();
}

std::uint64_t in_microseconds(clock::duration time) {
    return static_cast<std::uint64_t>(duration_cast<std::chrono::microseconds>(time).count());
}

}  // namespace

bool loop_thread::logs_access(const connection& of) const { return of.limits().access_log && env_.access->wanted(); }

bool loop_thread::note(const answer_row& row, const connection& of) {
    auto& account = seen_.account;
    account.requests.add();
    auto& metrics = row.to != nullptr ? seen_.routes[row.to->index] : seen_.routes.back();
    metrics.responses[row.digit].add();
    metrics.statuses.add(static_cast<unsigned>(row.status));
    const auto bucket = metrics.duration.observe(row.took);
    if (const auto& trace = row.of->trace; trace.sampled()) {
        if (trace.ids.span != 0)
            metrics.exemplars.keep(bucket, {trace.ids.high, trace.ids.low}, row.took);
        else
            metrics.exemplars.keep(bucket, trace.id(), row.took);
    }
    if (host_.observer) host_.observer->end(row);
    const bool refused = row.refused_by != rule::none;
    if (refused) account.refused[static_cast<std::size_t>(row.refused_by)].add();
    if (!logs_access(of)) return true;
    const auto& excluded = of.limits().access_exclude;
    if (std::ranges::find(excluded, row.of->path) != excluded.end()) return false;
    if (env_.access->wants_facts()) {
        log_facts(row, of);
        return true;
    }
    line_text line;
    const auto subject = of.subject();
    const auto* const peer = peer_beside_client(of);
    put<"access {} {} {} {} {}us {} {}{}{}{}{}{}{}{}{}{}">(
        line, of.client(), row.of->method_name, row.of->target, static_cast<std::uint64_t>(row.status),
        in_microseconds(row.took), row.of->id, row.letters.who, row.letters.when,
        std::string_view(refused ? " rule " : ""), refused ? to_string(row.refused_by) : std::string_view(),
        std::string_view(row.of->trace ? " trace " : ""), row.of->trace.id(),
        std::string_view(subject.empty() ? "" : " subject "), subject,
        std::string_view(peer == nullptr ? "" : " peer "), peer);
    log_access(line.view());
    return true;
}

void loop_thread::note_refusal(const answer_row& row, const connection& of) {
    seen_.account.refused[static_cast<std::size_t>(row.refused_by)].add();
    const auto by = row.refused_by;
    if (!in_words(by).empty()) meets(by, of.peer());
    if (!logs_access(of)) return;
    if (env_.access->wants_facts()) return log_facts(row, of);
    line_text line;
    const auto* const peer = peer_beside_client(of);
    put<"access {} {} {} {} {}us - {}{} rule {}{}{}">(
        line, of.client(), row.of != nullptr ? row.of->method_name : "-", row.of != nullptr ? row.of->target : "-",
        static_cast<std::uint64_t>(row.status), in_microseconds(row.took), row.letters.who, row.letters.when,
        to_string(row.refused_by), std::string_view(peer == nullptr ? "" : " peer "), peer);
    log_access(line.view());
}

/// The same as the line of text, each value by its name: what is empty has no field.
void loop_thread::log_facts(const answer_row& row, const connection& of) noexcept try {
    line_text client, peer;
    client << of.client();
    peer << peer_beside_client(of);
    const bool known = row.of != nullptr;
    const std::array letters{row.letters.who, row.letters.when};
    const std::array facts{
        log_fact("server", env_.name),
        log_fact("client", client.view()),
        log_fact("method", known ? row.of->method_name : std::string_view()),
        log_fact("target", known ? row.of->target : std::string_view()),
        log_fact("route", row.to != nullptr ? std::string_view(row.to->name) : std::string_view()),
        log_fact("status", static_cast<std::uint64_t>(row.status)),
        log_fact::of_microseconds("duration_ms", in_microseconds(row.took)),
        row.bytes ? log_fact("bytes", *row.bytes) : log_fact(),
        log_fact("request_id", known ? row.of->id : std::string_view()),
        log_fact("trace_id", known ? row.of->trace.id() : std::string_view()),
        log_fact("span_id", known ? row.of->trace.span() : std::string_view()),
        log_fact("ending", std::string_view(letters.data(), letters.size())),
        log_fact("rule", row.refused_by != rule::none ? to_string(row.refused_by) : std::string_view()),
        log_fact("subject", of.subject()),
        log_fact("peer", peer.view()),
    };
    log_access("access", facts);
} catch (const std::bad_alloc&) {}  // nor for this line

/// A peer speaks another protocol, by what its first bytes look like, or the PROXY protocol badly.
void loop_thread::meets(rule other, const socket_address& peer) noexcept try {
    if (clock::now() < next_meeting_line_) return;
    next_meeting_line_ = clock::now() + between_lines;
    lifecycle::lines(env_.log).info("{server}: what {peer} sends {looks}; {times} so far", env_.name, peer.host(),
                                    in_words(other), seen_.account.refused[static_cast<std::size_t>(other)].get());
} catch (...) {}  // not even memory to say so

void loop_thread::refuses_to_shake_hands(std::string_view why, const socket_address& client) noexcept try {
    ++failed_handshakes_;
    if (clock::now() < next_handshake_line_) return;
    next_handshake_line_ = clock::now() + between_lines;
    lifecycle::lines(env_.log).info("{server}: no TLS handshake with {peer}: {error}; {times} so far", env_.name,
                                    client.host(), why, failed_handshakes_);
} catch (...) {}  // not even memory to say so

/// One line a connection, beside the access log: were these resets ours?
void loop_thread::log_end(const connection& connection) noexcept try {
    if (!logs_access(connection) || connection.unlogged()) return;
    const auto [who, when] = connection.ending();
    const auto* const peer = peer_beside_client(connection);
    if (env_.access->wants_facts()) {
        line_text client, beside;
        client << connection.client();
        beside << peer;
        const std::array letters{who, when};
        const std::array facts{log_fact("server", env_.name), log_fact("client", client.view()),
                               log_fact("requests", std::uint64_t{connection.served()}),
                               log_fact("ending", std::string_view(letters.data(), letters.size())),
                               log_fact("peer", beside.view())};
        return log_access("closed", facts);
    }
    line_text line;
    put<"closed {} after {} requests {}{}{}{}">(line, connection.client(), std::uint64_t{connection.served()}, who,
                                                when, std::string_view(peer == nullptr ? "" : " peer "), peer);
    log_access(line.view());
} catch (const std::bad_alloc&) {}  // nor for this line

/// A line of the access log. It goes out with the others of this turn, which ends when all sockets that are ready have
/// been seen to, or else with what it has posted.
void loop_thread::log_access(std::string_view text, std::span<const log_fact> facts) noexcept try {
    if (access_lines_.add(*env_.access, text, facts) && !sockets_.looks())
        asio::post(io_, [this] { access_lines_.write(*env_.access); });
} catch (const std::bad_alloc&) {
    access_lines_.write(*env_.access);
}

void loop_thread::log_failure(const connection& client, const std::exception_ptr& thrown) noexcept try {
    if (client.now_in() == connection::state::streaming)
        client.lines_to(env_.log).error("a response was cut: {error} ({})", what_was_thrown(thrown), client.identity());
    else
        client.lines_to(env_.log).error("{route} failed: {error} ({})", client.describe(), what_was_thrown(thrown),
                                        client.identity());
} catch (const std::bad_alloc&) {}  // nor for this line

}  // namespace server
