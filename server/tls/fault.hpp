#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace server::tls {

/// What is wrong with a setting of TLS, or with the file that it names: `what()` in words, without the setting.
struct fault : std::runtime_error {
    /// `key` is the setting's, without what stands before the dot: "tls_key"; has static lifetime.
    fault(std::string_view of, const std::string& wrong, std::string_view right)
        : std::runtime_error(wrong), key(of), allowed(right) {}

    std::string_view key;
    std::string allowed;  ///< completes "allowed is …"
};

}  // namespace server::tls
