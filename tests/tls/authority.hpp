#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace tls_tests {

/// A certificate authority of a test's own, which makes certificates in memory and writes them as PEM.
class authority {
public:
    enum class kind { p256, rsa, small_rsa };

    struct wish {
        std::string subject = "localhost";
        std::vector<std::string> names = {"localhost"};
        std::chrono::hours from{-1};  ///< from now
        std::chrono::hours until{24 * 365};
        kind key = kind::p256;
    };
    /// PEM.
    struct pair {
        std::string certificate, key;
    };

    explicit authority(const std::string& name = "test authority");

    pair issue(const wish& wanted);
    pair issue() { return issue(wish()); }
    /// One that issues in its place: `chain` of what it issues ends with its own certificate.
    authority below(const std::string& name);

    std::string certificate() const;
    /// Its own, which it has signed itself, and the key.
    pair own() const;
    const std::string& chain() const { return chain_; }
    /// Writes `name`.crt, with the chain, and `name`.key into `folder`.
    static void write(const std::filesystem::path& folder, const std::string& name, const pair& what);

private:
    template <auto free>
    struct freed_by {
        template <class T>
        void operator()(T* object) const {
            free(object);
        }
    };
    std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>> key_;
    std::unique_ptr<X509, freed_by<X509_free>> certificate_;
    std::string chain_;
};

/// The same key, protected by a password.
std::string encrypted(const std::string& key);

}  // namespace tls_tests
