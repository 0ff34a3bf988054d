#pragma once

#include <openssl/ssl.h>

#include <string>

namespace lifecycle {

/// For a client, before its handshake: it asks for the server by `host` (RFC 6066 section 3), and the certificate that
/// this shows must have it: a name among the alternative ones, whatever the subject says, where a wildcard stands for
/// one label (RFC 9525 section 6). An address is asked for by no name, and must be there as one. Throws std::bad_alloc.
void expect_server(SSL& session, const std::string& host);

}  // namespace lifecycle
