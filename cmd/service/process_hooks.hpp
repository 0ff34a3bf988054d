#pragma once

#include "cmd/service/announce.hpp"
#include "cmd/service/inspection.hpp"
#include "cmd/service/modules.hpp"
#include "lifecycle/done_collector.hpp"

/// What main's wait tells and asks: the log, ready_file, the report, the modules. What is given outlives the wait.
lifecycle::done_collector::hooks process_hooks(const inspected& parts, const server::http_server& debug,
                                               modules& extras, announcement& announced);
