#include "tracker/sieve.hpp"

#include <algorithm>
#include <cassert>

namespace tracker {
namespace {

/// This many others are asked about a suspect in a round, spread over the batch: a run of bad events is no bad sink.
constexpr std::size_t most_compared = 8;

/// Of a sink whose bad moment began just before the last event of a batch.
constexpr std::chrono::seconds long_enough{3};

std::size_t comparisons(std::size_t left) noexcept { return std::min(most_compared, left - 1); }

}  // namespace

void sieve::begin(events left) {
    comparing_ = others_taken_ = some_taken_ = false;
    compared_ = 0;
    suspected_ = !left.empty() && left.front().id == suspect_.id;
    refused_ = suspected_ ? 1 : 0;
    if (!suspected_) return;
    // With others that have come there is something to compare it with.
    if (left.size() > suspect_.among) suspect_.others_before = false;
    some_taken_ = suspect_.others_before;
    suspect_.among = left.size();
}

sieve::part sieve::next(events left) const {
    assert(!left.empty() && refused_ <= left.size() && "a part of nothing");
    if (comparing_) {
        const auto stride = (left.size() - 1) / comparisons(left.size());
        return {1 + compared_ * stride + shift_ % stride, 1};
    }
    if (refused_ > 0) return {0, std::max<std::size_t>(refused_ / 2, 1)};
    // The last one does not stay alone, with nothing to be compared with.
    if (width_ < left.size() && left.size() - width_ > 1) return {0, width_};
    return {0, left.size()};
}

void sieve::taken(const part& tried) {
    assert(tried.count > 0);
    all_refused_since_.reset();
    some_taken_ = true;
    if (tried.first > 0) {
        suspect_.others_since = true;
        comparing_ = false;
        return;
    }
    if (suspected_) suspect_ = {};
    suspected_ = false;
    suspect_.others_between = !suspect_.id.empty();
    width_ = std::max(width_, 2 * tried.count);
    others_taken_ = refused_ > tried.count;
    refused_ -= std::min(refused_, tried.count);
}

sieve::step sieve::refused(const part& tried, events left, bool of_the_event, time_point now) {
    if (tried.first > 0) {
        if (++compared_ < comparisons(left.size())) return step::go_on;
        return without_comparison(left.size(), now);
    }
    width_ = 1;
    if (tried.count != refused_) others_taken_ = false;  // it may have been another of them that was refused then
    refused_ = tried.count;
    if (tried.count > 1) return step::go_on;
    return of_the_event ? step::bury : judge(left, now);
}

sieve::step sieve::judge(events left, time_point now) {
    if (!suspected_)
        suspect_ = {
            .id = left.front().id, .among = left.size(), .others_before = some_taken_, .others_since = others_taken_};
    suspected_ = true;
    ++suspect_.tries;
    if (suspect_.others_between) ++suspect_.rounds;
    suspect_.others_between = false;
    if (suspect_.rounds >= tries_) return step::bury;
    if (suspect_.others_since) return suspect_.tries >= std::max<std::size_t>(tries_, 2) ? step::bury : step::go_on;
    if (left.size() == 1) return without_comparison(1, now);
    comparing_ = true;
    compared_ = 0;
    return step::go_on;
}

/// All have been refused that there were to compare it with.
sieve::step sieve::without_comparison(std::size_t left, time_point now) {
    if (!all_refused_since_) all_refused_since_ = now;
    const bool all_were_asked = left <= most_compared + 1;
    const bool long_since = now >= *all_refused_since_ + long_enough;
    return suspect_.others_before && all_were_asked && long_since ? step::bury : step::pause;
}

void sieve::buried() {
    suspect_ = {};
    suspected_ = comparing_ = others_taken_ = false;
    refused_ = 0;
}

void sieve::paused() {
    if (comparing_) ++shift_;
    comparing_ = others_taken_ = suspect_.others_since = false;
    suspect_.tries = 0;
}

}  // namespace tracker
