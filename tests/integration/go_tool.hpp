#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace integration {

/// Go 1.25 and newer compile a tool where the cache has none.
inline constexpr std::chrono::milliseconds go_patience{110'000};

/// For `go tool`: a home of its own, and the cache that is there, so that it is compiled once at most.
inline std::vector<std::string> go_environment(const std::filesystem::path& home) {
    const auto of = [](const char* name) {
        const char* const value = std::getenv(name);
        return value == nullptr ? std::string() : std::string(value);
    };
    auto cache = of("GOCACHE");
    if (cache.empty()) cache = of("HOME").empty() ? home.string() + "/cache" : of("HOME") + "/.cache/go-build";
    return {"HOME=" + home.string(), "PATH=" + of("PATH"), "GOCACHE=" + cache};
}

}  // namespace integration
