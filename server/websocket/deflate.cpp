#include "server/websocket/deflate.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <new>

#include "server/request.hpp"

namespace server::websocket {
namespace {

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Up to the next `end`, which is taken too.
std::string_view take_until(std::string_view& text, char end) {
    const auto found = text.find(end);
    const auto part = text.substr(0, found);
    text.remove_prefix(found == text.npos ? text.size() : found + 1);
    return trimmed(part);
}

/// RFC 7692 section 7.1.2.1: 8 to 15, without leading zeros; it may stand in quotes.
std::optional<unsigned> window_of(std::string_view value) {
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    unsigned bits = 0;
    const auto* const end = value.data() + value.size();
    const auto [at, error] = std::from_chars(value.data(), end, bits);
    if (error != std::errc{} || at != end || value.starts_with('0') || bits < 8 || bits > 15) return std::nullopt;
    return bits;
}

/// One offer, after its name. None: it cannot be taken (section 7.1: an unknown parameter, one that is there twice, or
/// whose value is none of its values).
std::optional<deflate_terms> read_offer(std::string_view parameters) {
    deflate_terms terms;
    unsigned seen = 0;
    constexpr std::array<std::string_view, 4> known{"server_no_context_takeover", "client_no_context_takeover",
                                                    "server_max_window_bits", "client_max_window_bits"};
    while (!parameters.empty()) {
        auto parameter = take_until(parameters, ';');
        const bool valued = parameter.find('=') != parameter.npos;
        const auto name = take_until(parameter, '=');
        const auto which = static_cast<std::size_t>(
            std::ranges::find_if(known, [&](auto each) { return same_name(each, name); }) - known.begin());
        if (which == known.size() || (seen & 1U << which) != 0) return std::nullopt;
        seen |= 1U << which;
        if (which < 2 && valued) return std::nullopt;
        if (which == 3 && !valued) continue;
        if (which < 2) continue;
        const auto bits = window_of(trimmed(parameter));
        if (!bits) return std::nullopt;
        if (which == 3) continue;             // it may use less than what is kept for it here
        if (*bits == 8) return std::nullopt;  // zlib has no such window for a raw stream
        terms.window_bits = static_cast<std::uint8_t>(*bits);
        terms.says_window = true;
    }
    return terms;
}

constexpr std::string_view tail("\x00\x00\xff\xff", 4);  // of a flushed block: RFC 7692 section 7.2.1

Bytef* bytes_of(std::string_view text) {  // zlib's own const is a matter of how it was compiled
    return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

}  // namespace

std::string deflate_terms::answer() const {
    std::string made = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    if (says_window) made += fmt::format("; server_max_window_bits={}", window_bits);
    return made;
}

std::optional<deflate_terms> choose(std::string_view offers) {
    while (!offers.empty()) {
        auto offer = take_until(offers, ',');
        if (!same_name(take_until(offer, ';'), "permessage-deflate")) continue;
        if (auto terms = read_offer(offer)) return terms;
    }
    return std::nullopt;
}

struct compression::deflater {
    explicit deflater(unsigned bits) {
        constexpr int fast = 1, memory = 8;  // messages are short: level 6 costs twice for some per cent
        if (::deflateInit2(&state, fast, Z_DEFLATED, -static_cast<int>(bits), memory, Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    ~deflater() { ::deflateEnd(&state); }
    deflater(const deflater&) = delete;
    deflater& operator=(const deflater&) = delete;
    z_stream state{};
};

struct compression::inflater {
    inflater() {
        if (::inflateInit2(&state, -15) != Z_OK) throw std::bad_alloc();
    }
    ~inflater() { ::inflateEnd(&state); }
    inflater(const inflater&) = delete;
    inflater& operator=(const inflater&) = delete;
    z_stream state{};
};

compression::compression() = default;
compression::~compression() = default;

void compression::deflate(std::string_view message, unsigned window_bits, std::string& out) {
    auto& engine = by_window_[window_bits];
    if (!engine) engine = std::make_unique<deflater>(window_bits);
    auto& state = engine->state;
    ::deflateReset(&state);
    const auto before = out.size();
    // deflateBound does not count the flush that ends a message: an empty block, and what was left of a byte.
    out.resize(before + ::deflateBound(&state, message.size()) + 16);
    state.next_in = bytes_of(message);
    state.avail_in = static_cast<uInt>(message.size());
    state.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    state.avail_out = static_cast<uInt>(out.size() - before);
    ::deflate(&state, Z_SYNC_FLUSH);
    out.resize(out.size() - state.avail_out);
    if (std::string_view(out).substr(before).ends_with(tail)) out.resize(out.size() - tail.size());
    if (out.size() == before) out += '\0';  // section 7.2.3.6: an empty message
}

auto compression::inflate(std::string_view message, std::size_t most, std::string& out) -> outcome {
    if (!inflater_) inflater_ = std::make_unique<inflater>();
    auto& state = inflater_->state;
    ::inflateReset(&state);
    constexpr std::size_t least = 1024;
    constexpr int between_blocks = 128;  // of z_stream::data_type
    out.clear();
    if (message.empty()) return outcome::done;
    for (const auto part : {message, tail}) {
        state.next_in = bytes_of(part);
        state.avail_in = static_cast<uInt>(part.size());
        for (;;) {
            const auto had = out.size();
            const auto room = std::min(std::max({least, had, 2 * part.size()}), most + 1 - had);
            out.resize(had + room);
            state.next_out = reinterpret_cast<Bytef*>(out.data() + had);
            state.avail_out = static_cast<uInt>(room);
            const auto how = ::inflate(&state, Z_SYNC_FLUSH);
            out.resize(out.size() - state.avail_out);
            if (out.size() > most) return outcome::too_large;
            // A block that says it is the last one: another may stand after it (RFC 7692 section 7.2.3.4).
            if (how == Z_STREAM_END) {
                if (state.avail_in == 0) return outcome::done;
                ::inflateReset(&state);
            } else if (how != Z_OK && how != Z_BUF_ERROR) {
                return outcome::malformed;
            }
            if (state.avail_in == 0 && state.avail_out > 0) break;
        }
    }
    // Within a block, the tail was taken for what is missing of it.
    return (state.data_type & between_blocks) != 0 ? outcome::done : outcome::malformed;
}

}  // namespace server::websocket
