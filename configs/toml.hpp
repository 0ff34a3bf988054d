#pragma once

#include <stdexcept>

namespace configs {

[[noreturn]] inline void broken_toml(const char* assertion) { throw std::logic_error(assertion); }

}  // namespace configs

// toml++ 3.3 asserts what its input can break: `[` and a backquote end the process, and with NDEBUG it would go on as
// if they had not come. What a user has written into a file is a fault to be reported: here it throws, except where the
// library has promised not to. Include this to use toml++, and give it what toml_text.hpp has prepared.
#define TOML_ASSERT(expr) (static_cast<bool>(expr) ? void() : ::configs::broken_toml(#expr))

#include <toml++/toml.h>
