#pragma once

#include <chrono>
#include <string>

#include "configs/program.hpp"

/// What this service can be told besides what every service of this kind can (`--help` lists both). A member here, a
/// row in own_settings.cpp: flag, variable, key of the file, check and help follow from them.
struct own_settings {
    std::string word = "Hello";
    std::chrono::milliseconds patience{500};
};

/// The name of the service, what its variables begin with, and its rows.
configs::program own_program();
