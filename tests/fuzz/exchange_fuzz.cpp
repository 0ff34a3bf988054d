// A whole connection without its socket: arbitrary bytes in arbitrary pieces, the machine that serves them, handlers
// that say everything again, and a client that closes. However they were cut, the answers are the same bytes; no more
// is answered than has been asked; and nothing that a client sent ends an answer early or begins another. The first
// byte chooses the cuts.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/server/simulated.hpp"

namespace {

using server::http::status;

lifecycle::awaitable<server::response> nothing(lifecycle::context, const server::request&) {
    co_return server::response();
}

const server::router& routes() {
    static const auto made = [] {
        server::router all;
        all.get("/", nothing).post("/echo", nothing).get("/a/{b}", nothing);
        return all;
    }();
    return made;
}

server::options small() {
    server::options limits;
    limits.max_header_bytes = 512;
    limits.max_target_bytes = 64;
    limits.max_body_bytes = 128;
    limits.max_headers = 8;
    limits.max_pipelined_bytes = 64;
    limits.max_chunk_extension_bytes = 8;
    limits.max_chunk_extensions_bytes = 16;
    limits.max_trailer_bytes = 32;
    return limits;
}

/// What a handler that trusts its client would say: everything comes back, in fields and body.
server::response answer_to(const server::request& request) {
    server::response reply(status::ok, std::string(request.body));
    reply.set("X-Path",
              request.path.find_first_of(std::string_view("\r\n\0", 3)) == request.path.npos ? request.path : "");
    for (const auto& field : request.fields) reply.set(field.name, field.value);
    return reply;
}

struct outcome {
    std::string out;
    std::size_t answers = 0;
    bool operator==(const outcome&) const = default;
};

constexpr std::string_view go_ahead = "HTTP/1.1 100 Continue\r\n\r\n";  // whether it is said depends on the cuts

template <class Length>
outcome exchange(const server::options& limits, std::string_view bytes, Length length) {
    const server::moment at{.now = lifecycle::clock::time_point(std::chrono::hours(1))};
    simulated::place place(routes(), limits);
    simulated::connection connection(place, at.now);
    while (!bytes.empty() && !connection.over) {
        const auto count = std::min(bytes.size(), length());
        connection.send(bytes.substr(0, count), at);
        bytes.remove_prefix(count);
        for (; connection.asked; connection.settle(at)) connection.reply(answer_to(connection.machine.request()), at);
    }
    connection.wire.client_finished = true;
    connection.settle(at);
    const auto account = connection.account();
    if (!connection.over || account.began != account.finished + account.cut + account.gone) std::abort();
    outcome seen{.out = std::move(connection.wire.to_client), .answers = static_cast<std::size_t>(connection.notes)};
    for (auto found = seen.out.find(go_ahead); found != seen.out.npos; found = seen.out.find(go_ahead, found))
        seen.out.erase(found, go_ahead.size());
    return seen;
}

/// Fields by which a client asks to be told before its body has come: then it matters what had come.
bool asks_early(std::string_view bytes) {
    std::string lower(bytes);
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lower.find("expect") != lower.npos || lower.find("content-encoding") != lower.npos;
}

std::size_t count_of(std::string_view what, std::string_view in) {
    std::size_t count = 0;
    for (auto at = in.find(what); at != in.npos; at = in.find(what, at + 1)) ++count;
    return count;
}

void require(bool condition, const char* what, const outcome& seen) {
    if (condition) return;
    std::fprintf(stderr, "%s: %zu answers\n%s\n", what, seen.answers, seen.out.c_str());
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto limits = small();
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = exchange(limits, bytes, [] { return std::string::npos; });
    const auto by_byte = exchange(limits, bytes, [] { return std::size_t{1}; });
    std::uint32_t state = data[0];
    const auto some = [&state] {
        state = state * 1'103'515'245U + 12'345U;
        return std::size_t{1} + (state >> 16) % 40;
    };
    const auto in_pieces = exchange(limits, bytes, some);
    if (!asks_early(bytes)) {
        require(by_byte == whole, "byte by byte another answer", whole);
        require(in_pieces == whole, "in pieces another answer", whole);
    }
    require(whole.answers <= count_of("\r\n\r\n", bytes) + 1, "more answers than requests", whole);
    require(count_of("\r\nDate: today\r\n", whole.out) >= whole.answers, "an answer without its head", whole);
    require(whole.out.find('\0') == whole.out.npos || bytes.find('\0') != bytes.npos, "a NUL of our own", whole);
    return 0;
}
