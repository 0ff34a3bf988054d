#include "lifecycle/tls/algorithms.hpp"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include <new>

namespace lifecycle {
namespace {

template <class Algorithm>
void make(Algorithm* (*fetch)(OSSL_LIB_CTX*, const char*, const char*), void (*free)(Algorithm*), const char* name) {
    auto* const made = fetch(nullptr, name, nullptr);
    if (made == nullptr) throw std::bad_alloc();
    free(made);
}

}  // namespace

void make_algorithms() {
    make(EVP_MD_fetch, EVP_MD_free, "SHA2-256");
    make(EVP_CIPHER_fetch, EVP_CIPHER_free, "AES-128-GCM");
    make(EVP_MAC_fetch, EVP_MAC_free, "HMAC");
    make(EVP_KDF_fetch, EVP_KDF_free, "TLS13-KDF");
    make(EVP_RAND_fetch, EVP_RAND_free, "CTR-DRBG");
    make(EVP_KEYMGMT_fetch, EVP_KEYMGMT_free, "EC");
    make(EVP_KEYEXCH_fetch, EVP_KEYEXCH_free, "ECDH");
    make(EVP_SIGNATURE_fetch, EVP_SIGNATURE_free, "ECDSA");
    make(EVP_ASYM_CIPHER_fetch, EVP_ASYM_CIPHER_free, "RSA");
    make(EVP_KEM_fetch, EVP_KEM_free, "RSA");
}

}  // namespace lifecycle
