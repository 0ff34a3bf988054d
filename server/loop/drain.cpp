#include "server/loop/drain.hpp"

namespace server {

void loop_drain::begin(time_point now) noexcept {
    draining_ = true;
    began_ = now;
    idle_until_ = now + grace_;
}

void loop_drain::end_if_empty() {
    if (!draining_ || !sealed_ || ended_ || open_.get() > 0) return;
    ended_ = true;
    over_();
}

drain_view loop_drain::view() const {
    if (!draining_) return {};
    return {.draining = true,
            .began = began_,
            .idle_until = idle_until_,
            .over = deadline_ ? deadline_() : time_point::max()};
}

bool loop_drain::is_late(const drain_view& at, time_point now) noexcept {
    if (was_late_ || at.over == time_point::max() || now >= at.over) return false;
    was_late_ = now >= began_ + (at.over - began_) * 8 / 10;
    return was_late_;
}

}  // namespace server
