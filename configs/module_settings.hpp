#pragma once

#include <vector>

#include "configs/settings.hpp"

namespace configs {

// Rows of the table that only a module reads: a copy of this tree without the module has none of them. In a program
// that is only built without it they are refused where they are set (cmd/service/modules.cpp), or without effect.

std::vector<setting> rows_of_nats();       // [module nats/]
std::vector<setting> rows_of_kafka();      // [module kafka/]
std::vector<setting> rows_of_client();     // [module http_client/]
std::vector<setting> rows_of_telemetry();  // [module telemetry/]

}  // namespace configs
