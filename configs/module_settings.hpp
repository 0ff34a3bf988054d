#pragma once

#include <vector>

#include "configs/settings.hpp"

namespace configs {

// Rows of the table that only a module reads, in a file of its name in configs/modules: a copy of this tree without the
// module has neither, nor the rows in configs/service.toml and docs/operations.md. In a program that is only built
// without it they are refused where they are set (cmd/service/modules.cpp), or without effect.

std::vector<setting> rows_of_tls();        // [module tls/]
std::vector<setting> rows_of_debug_tls();  // [module tls/]
std::vector<setting> rows_of_http2();      // [module http2/]
std::vector<setting> rows_of_websocket();  // [module websocket/]
std::vector<setting> rows_of_nats();       // [module nats/]
std::vector<setting> rows_of_kafka();      // [module kafka/]
std::vector<setting> rows_of_client();     // [module http_client/]
std::vector<setting> rows_of_telemetry();  // [module telemetry/]

}  // namespace configs
