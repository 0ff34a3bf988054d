#include "lifecycle/tls/extensions.hpp"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

namespace lifecycle {

void read_extensions(SSL_CTX* of) {
    const auto* const trusted = X509_STORE_get0_objects(SSL_CTX_get_cert_store(of));
    for (int nth = 0; nth < sk_X509_OBJECT_num(trusted); ++nth)
        if (auto* const certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, nth)); certificate != nullptr)
            X509_check_purpose(certificate, -1, 0);  // of no purpose: it is only read
}

}  // namespace lifecycle
