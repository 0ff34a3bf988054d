#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

namespace server::tls {

/// What OpenSSL has made, and what frees it.
template <auto free>
struct freed_by {
    template <class T>
    void operator()(T* object) const noexcept {
        free(object);
    }
};

using bio_pointer = std::unique_ptr<BIO, freed_by<BIO_free>>;
using certificate_pointer = std::unique_ptr<X509, freed_by<X509_free>>;
using context_pointer = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using key_pointer = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using session_pointer = std::unique_ptr<SSL, freed_by<SSL_free>>;

}  // namespace server::tls
