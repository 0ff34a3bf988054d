#include "server/admission.hpp"

#include <utility>

namespace server {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

constexpr milliseconds retry_after{1'000};
constexpr milliseconds favour{2'000};       // for how long a client that has waited may use the last places
constexpr milliseconds crowd_lasts{2'000};  // twice the Retry-After of a refusal

}  // namespace

bool admission::finds_place(patience& of, bool newcomer, clock::time_point now) {
    const auto refused_at = std::exchange(of.refused_at, {});
    if (refused_at != clock::time_point{} && now - refused_at >= retry_after) of.favoured_until = now + favour;
    if (has_room_(!crowded_ || newcomer || now < of.favoured_until)) return true;
    crowded_ = true;
    crowded_until_.set(static_cast<std::uint64_t>((now + crowd_lasts).time_since_epoch().count()));
    of.refused_at = now;
    return false;
}

response admission::refusal() { return std::move(problem(http::status::service_unavailable).set("Retry-After", "1")); }

}  // namespace server
