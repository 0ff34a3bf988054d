#pragma once

namespace server::tls {

/// From here on OpenSSL's memory for a record, 17 KB, is taken from what the same thread has given back last, as a
/// rule: each request takes and gives back two of them (SSL_MODE_RELEASE_BUFFERS), which malloc(3) splits from and
/// joins to larger pieces each time. A thread keeps two at most. All other memory of OpenSSL comes from malloc(3) as
/// ever.
///
/// To be called before OpenSSL has any memory; afterwards it does nothing, and all stays as it was. Any thread.
void keep_record_buffers() noexcept;

}  // namespace server::tls
