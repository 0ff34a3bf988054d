#include "cmd/service/trace/session.hpp"

#include <utility>

namespace trace {

session::taking::taking(session& of, const std::vector<pid_t>& threads)
    : of_(of), took_([&] {
          const std::scoped_lock lock(of.mutex_);
          return !std::exchange(of.under_way_, true);
      }()) {
    if (took_) of_.events.begin(threads);
}

session::taking::~taking() {
    if (!took_) return;
    of_.events.end();
    const std::scoped_lock lock(of_.mutex_);
    of_.under_way_ = of_.awaited_ = false;
    of_.ended_.notify_all();
}

bool session::taking::awaited() const {
    const std::scoped_lock lock(of_.mutex_);
    return of_.awaited_;
}

void session::finish(lifecycle::clock::time_point until) {
    std::unique_lock lock(mutex_);
    awaited_ = under_way_;
    ended_.wait_until(lock, until, [this] { return !under_way_; });
}

}  // namespace trace
