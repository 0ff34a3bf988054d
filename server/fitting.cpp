#include "server/fitting.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "lifecycle/lines.hpp"

namespace server {
namespace {

constexpr std::size_t spare_descriptors = 64;  // for everything that is not a connection

}  // namespace

std::shared_ptr<const options> fitting(options limits, const std::string& name, spdlog::logger& log) {
    rlimit files = {};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return std::make_shared<const options>(std::move(limits));
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
        ::getrlimit(RLIMIT_NOFILE, &files);
    }
    const std::size_t limit = files.rlim_cur;
    const auto fit = limit > 2 * spare_descriptors ? limit - spare_descriptors : std::max<std::size_t>(1, limit / 2);
    if (fit < limits.max_connections)
        lifecycle::lines(log).warn(
            "{server}.max_connections lowered from {before} to {after}: the limit of open files is {limit}", name,
            limits.max_connections, fit, limit);
    limits.max_connections = std::min(fit, limits.max_connections);
    return std::make_shared<const options>(std::move(limits));
}

}  // namespace server
