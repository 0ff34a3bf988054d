#include "server/access_log.hpp"

#include <new>

namespace server {

bool access_lines::add(const access_log& log, std::string_view text) noexcept {
    const auto before = lines_.size();
    try {
        log.append(lines_, text);
    } catch (const std::bad_alloc&) {
        lines_.resize(before);
        return false;
    }
    return before == 0;
}

void access_lines::write(access_log& log) noexcept {
    try {
        if (!lines_.empty()) log.write(lines_);
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): no memory for them; serving goes on
    }
    lines_.clear();
}

}  // namespace server
