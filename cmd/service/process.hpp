#pragma once

#include <functional>

#include "cmd/service/log.hpp"
#include "cmd/service/reload.hpp"
#include "configs/program.hpp"
#include "lifecycle/signals.hpp"

/// The life of the process up to its parts: descriptors, signals, command line, settings, the log, and whatever the
/// command line asks for instead of a service. Then `serve`, on the same thread: it makes the parts, runs them, and
/// returns the exit code. What is thrown is one line and exit code 1.
///
///     int main(int count, char** arguments) { return run_process({}, count, arguments, serve); }
///
/// A program that has a name or settings of its own hands them in as the first argument; `{}` is this one.
int run_process(configs::program program, int count, char** arguments,
                const std::function<int(settings_in_force&, lifecycle::signals&, process_log&)>& serve);
