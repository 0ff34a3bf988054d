#pragma once

#include <string_view>

/// What this binary was built from and with. Constants; safe from any thread.
namespace build_info {

std::string_view version() noexcept;    ///< "0.1.0"
std::string_view revision() noexcept;   ///< short git hash, "-dirty" behind it if so; "unknown" without git
std::string_view compiler() noexcept;   ///< "GNU 12.2.0"
std::string_view flags() noexcept;      ///< what the compiler was told
std::string_view libraries() noexcept;  ///< "Boost 1_81, spdlog 1.10.0, …"

}  // namespace build_info
