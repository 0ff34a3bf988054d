#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "server/tls/openssl.hpp"

namespace server::tls {

/// A certificate, its key and what leads from it to a root. Immutable once read; safe from any thread.
struct certificate {
    std::string file;
    certificate_pointer leaf;
    key_pointer key;
    std::vector<certificate_pointer> chain;  ///< the issuer of the leaf, the issuer of that, and so on
    std::string subject;                     ///< RFC 4514: "CN=example.org"
    std::vector<std::string> names;          ///< of the servers that it is for, in lower case; "*.example.org"
    std::time_t not_after = 0;
    bool key_is_open = false;  ///< any user may read its file
    std::string bytes;         ///< of both files
};

/// Reads and checks a pair of PEM files: that they hold what they should, that the chain is in its order, that the key
/// is that of the first certificate, and that this is in force now. Does not ask for a password. Blocks on files;
/// throws `fault`.
certificate read_certificate(const std::string& certificate_file, const std::string& key_file);

/// All certificates of a file, at least one. `key` is the setting that names it. Throws `fault`.
std::vector<certificate_pointer> certificates_of(std::string_view key, const std::string& file, std::string_view pem);

/// The bytes of a regular file of at most 1 MiB. Throws `fault`.
std::string bytes_of(std::string_view key, const std::string& file,
                     std::string_view allowed = "a PEM file of at most 1 MiB");

/// Any user may read it.
bool is_open_to_all(const std::string& file);

/// Whom the certificate names as its issuer, where nothing shows that this is a root, which clients have themselves:
/// the file does not go on, and it is neither in `trusted`, nor in a `ca.crt` beside the file, as a Secret has one, nor
/// trusted by this machine. Else empty. Blocks on files.
std::string missing_issuer(const certificate& certificate, const std::vector<certificate_pointer>& trusted);

/// Whom a certificate names (RFC 4514), in UTF-8.
std::string subject_of(const X509& certificate);

/// "2026-11-29T08:00:00Z"
std::string in_words(std::time_t time);

}  // namespace server::tls
