#pragma once

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "lifecycle/shutdown_report.hpp"

namespace server {

/// Handlers that have been answered in place of and have not returned, by their connections. Safe from any thread; the
/// mutex is taken when a deadline has passed and when such a handler comes back, never for a request that is in time.
class late_handlers {
public:
    using straggler = lifecycle::shutdown_report::straggler;

    void add(const void* owner, straggler straggler) {
        const std::scoped_lock lock(mutex_);
        all_.insert_or_assign(owner, std::move(straggler));
    }
    void remove(const void* owner) {
        const std::scoped_lock lock(mutex_);
        all_.erase(owner);
    }
    void append_to(std::vector<straggler>& some) const {
        const std::scoped_lock lock(mutex_);
        for (const auto& [owner, handler] : all_) some.push_back(handler);
    }

private:
    mutable std::mutex mutex_;
    std::map<const void*, straggler> all_;
};

}  // namespace server
