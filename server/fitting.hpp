#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <string>

#include "server/options.hpp"

namespace server {

/// Raises the soft limit of descriptors to the hard one; `limits` with as many connections as then fit.
std::shared_ptr<const options> fitting(options limits, const std::string& name, spdlog::logger& log);

}  // namespace server
