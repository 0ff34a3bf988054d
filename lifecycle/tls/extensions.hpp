#pragma once

#include <openssl/types.h>

namespace lifecycle {

/// OpenSSL reads the extensions of a certificate when a chain first leads to it, and never again: one that found no
/// memory for that counts as invalid as long as it is trusted, and no chain that ends there is believed any more. So
/// those of all certificates that `of` trusts are read before anybody is called. Those of a directory are not known
/// before they are looked up.
void read_extensions(SSL_CTX* of);

}  // namespace lifecycle
