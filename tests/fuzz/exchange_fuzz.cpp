// A connection without its socket: arbitrary bytes in arbitrary pieces, read as a connection reads, routed and
// answered. However they were cut, the answers are the same bytes; no more is answered than has been asked; and
// nothing that a client sent ends an answer early or begins another. The first byte chooses the cuts.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/http1.hpp"
#include "server/router.hpp"

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
server::response answer_to(server::request& request) {
    if (routes().find(request) == nullptr) return routes().fallback(request);
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

template <class Length>
outcome exchange(const server::options& limits, std::string_view bytes, Length length) {
    server::request_parser parser(limits);
    std::string buffer;
    outcome seen;
    for (bool ends = false; !ends;) {
        auto progress = server::request_parser::progress::need_more;
        if (!buffer.empty()) progress = parser.next(buffer.data(), buffer.size());
        server::framing how{.version = 11, .head = false, .close = true, .date = "today", .request_id = "id"};
        switch (progress) {
            case server::request_parser::progress::need_more: {
                buffer.resize(parser.squeeze(buffer.data(), buffer.size()));
                const auto count = std::min({bytes.size(), length(), parser.welcome(buffer.size())});
                if (bytes.empty()) return seen;
                if (count == 0) std::abort();  // it would wait for what it does not read
                buffer += bytes.substr(0, count);
                bytes.remove_prefix(count);
                break;
            }
            case server::request_parser::progress::refused:
                append(server::problem(parser.refusal()), how, seen.out);
                ++seen.answers;
                ends = true;
                break;
            case server::request_parser::progress::complete:
                how.version = parser.request().version;
                how.head = parser.request().method == server::http::verb::head;
                how.close = ends = !parser.keep_alive();
                append(answer_to(parser.request()), how, seen.out);
                ++seen.answers;
                buffer.erase(0, parser.consumed());
                parser.reset();
                break;
        }
    }
    return seen;
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
    require(exchange(limits, bytes, [] { return std::size_t{1}; }) == whole, "byte by byte another answer", whole);
    std::uint32_t state = data[0];
    const auto some = [&state] {
        state = state * 1'103'515'245U + 12'345U;
        return std::size_t{1} + (state >> 16) % 40;
    };
    require(exchange(limits, bytes, some) == whole, "in pieces another answer", whole);
    require(whole.answers <= count_of("\r\n\r\n", bytes) + 1, "more answers than requests", whole);
    require(count_of("\r\nDate: today\r\n", whole.out) >= whole.answers, "an answer without its head", whole);
    require(whole.out.find('\0') == whole.out.npos || bytes.find('\0') != bytes.npos, "a NUL of our own", whole);
    return 0;
}
