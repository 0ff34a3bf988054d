#include "lifecycle/tls/server_name.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <new>

namespace lifecycle {

void expect_server(SSL& session, const std::string& host) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(&session), host.c_str()) == 1) return;
    ERR_clear_error();  // it is no address
    SSL_set_hostflags(&session, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(&session, host.c_str()) != 1 || SSL_set_tlsext_host_name(&session, host.c_str()) != 1)
        throw std::bad_alloc();
}

}  // namespace lifecycle
