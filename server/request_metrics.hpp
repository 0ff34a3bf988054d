#pragma once

#include <string>
#include <vector>

#include "server/loop.hpp"
#include "server/metrics.hpp"

namespace server {

/// What clients have asked for and heard, by route: of all loops of a server. `labels` are those of each route, in the
/// order of route::index; the last is what no route answers.
void write_request_metrics(metrics_text& out, const std::vector<std::string>& labels,
                           const std::vector<const loop*>& loops);

}  // namespace server
