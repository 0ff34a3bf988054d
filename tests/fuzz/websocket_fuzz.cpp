// One WebSocket: arbitrary bytes after the handshake, in arbitrary pieces, with and without compression, to a machine
// that echoes. However they were cut, the answers are the same bytes; they are whole frames that are not masked;
// nothing is after a Close, and no message is larger than its limit. The first byte chooses the cuts and the
// compression.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/websocket/machine.hpp"
#include "tests/websocket/frames.hpp"

namespace {

using namespace server::websocket;
using step = machine::step;
constexpr std::size_t largest = 2'000;

struct outcome {
    std::string out;
    unsigned code = 0;
    bool operator==(const outcome&) const = default;
};

void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

template <class Length>
outcome echo(const machine_limits& limits, bool compressed, std::string_view bytes, Length length) {
    static compression zlib;
    const lifecycle::clock::time_point now{std::chrono::hours(1)};
    machine tested(limits, compressed ? &zlib : nullptr, now);
    outcome seen;
    std::string part;
    for (bool closed = false; !closed;) {
        switch (tested.next(now)) {
            case step::wait:
                require(tested.waits_for() == machine::waiting::bytes, "it waits for nobody");
                if (bytes.empty()) {
                    tested.peer_closed();
                    break;
                }
                part = bytes.substr(0, length());
                bytes.remove_prefix(part.size());
                tested.received(part);
                break;
            case step::deliver:
                require(tested.current().data.size() <= largest, "a message above the limit");
                tested.send(tested.current().text ? opcode::text : opcode::binary, tested.current().data);
                tested.returned();
                break;
            case step::say_open: tested.returned(); break;
            case step::say_closed:
                seen.code = tested.end().code;
                tested.returned();
                break;
            case step::write:
                seen.out += tested.to_write();
                tested.wrote(tested.to_write().size());
                break;
            case step::close:
            case step::reset: closed = true; break;
            default: break;
        }
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    machine_limits limits;
    limits.reading = {.max_message = largest, .max_fragments = 20};
    const bool compressed = (data[0] & 1U) != 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = echo(limits, compressed, bytes, [] { return std::string::npos; });
    std::uint32_t state = data[0];
    const auto some = [&state] {
        state = state * 1'103'515'245U + 12'345U;
        return std::size_t{1} + (state >> 16) % 40;
    };
    limits.copies = true;
    require(echo(limits, compressed, bytes, [] { return std::size_t{1}; }) == whole, "byte by byte another answer");
    require(echo(limits, compressed, bytes, some) == whole, "in pieces another answer");
    const auto sent = frames::parse(whole.out);
    for (std::size_t nth = 0; nth < sent.size(); ++nth) {
        require(sent[nth].first != 0, "what is sent is no frame");
        require(sent[nth].kind() != 8 || nth + 1 == sent.size(), "something is behind a Close");
        require(sent[nth].kind() != 8 || sent[nth].code() == 1005 || may_be_sent(sent[nth].code()),
                "a code that is none");
    }
    return 0;
}
