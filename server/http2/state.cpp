#include "server/http2/state.hpp"

#include <algorithm>
#include <chrono>

namespace server::http2 {

namespace {

constexpr std::size_t smallest_piece = 8 * 1024;

}  // namespace

bool state::only_unread() const noexcept {
    const auto is_cut = [](const stream& some) { return some.outcome.cut && !some.asking; };
    return unflushed_ == told_ends_ && std::ranges::all_of(all_, is_cut);
}

std::size_t state::largest_piece() const noexcept {
    const auto most = std::max(response::window / std::max<std::size_t>(1, alive_), smallest_piece);
    return most < longest_data ? most : most - most % longest_data;
}

std::uint64_t state::least_bytes(lifecycle::clock::duration over) const noexcept {
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(over).count();
    return limits_->min_data_rate * static_cast<std::uint64_t>(time) / 1'000;
}

}  // namespace server::http2
