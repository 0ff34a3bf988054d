#pragma once

#include <string>
#include <string_view>

/// What this binary was built from and with. Constants; safe from any thread.
namespace build_info {

// Of the program: in a service on installed libraries, of that one.
std::string_view version() noexcept;   ///< "0.1.0"
std::string_view revision() noexcept;  ///< short git hash, "-dirty" after it if so; "unknown" without git
std::string_view compiler() noexcept;  ///< "GNU 12.2.0"
std::string_view flags() noexcept;     ///< what the compiler was told

}  // namespace build_info

/// The same of the skeleton that the program was made from, or is linked with.
namespace skeleton_info {

std::string_view version() noexcept;
std::string_view revision() noexcept;   ///< as above
std::string_view date() noexcept;       ///< of that revision, "2026-11-29"; empty when nobody knows
std::string_view libraries() noexcept;  ///< "Boost 1_81, spdlog 1.10.0, …", but for those that read settings

/// Whole days since `date`, by the clock of this machine; -1 when it is not known.
int age_in_days();
/// "skeleton 0.1.0 (d163a1d12345) of 2026-11-29, 12 days old"
std::string in_words();

}  // namespace skeleton_info
