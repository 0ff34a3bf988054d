#pragma once

#include <array>
#include <ctime>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/options.hpp"
#include "server/tls/certificate.hpp"
#include "server/tls/openssl.hpp"

namespace server::tls {

/// A name for new and known tickets, and the two keys of what is in them (RFC 5077 section 4): in this order of bytes.
struct ticket_key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> mac, cipher;
};
static_assert(sizeof(ticket_key) == 80);

/// Random ones, for when there is no file of them. They belong to the process, so that sessions outlive a change of
/// certificates.
ticket_key make_ticket_key();

/// Certificates, keys and trust as they were read at one moment, and what new sessions are made from. Old sessions keep
/// the one that they have begun with. Immutable; safe from any thread.
class generation {
public:
    struct shown {
        std::string file, subject;
        std::time_t not_after;
    };

    /// Reads the files and checks that all of it fits together. `listener` is part of what a ticket is good for.
    /// Blocks; throws `fault`.
    generation(const tls_options& by, std::string_view listener, const ticket_key& at_random);
    generation(const generation&) = delete;
    generation& operator=(const generation&) = delete;

    /// For a new session. Throws std::bad_alloc.
    session_pointer begin() const;

    const std::vector<shown>& certificates() const noexcept { return shown_; }
    /// What is not wrong, and not as it should be; a line each.
    const std::vector<std::string>& warnings() const noexcept { return warnings_; }
    /// Of all that has been read: two with the same are the same.
    const std::string& digest() const noexcept { return digest_; }

private:
    static int by_name(SSL* session, int* alert, void* whose);
    static int by_protocol(SSL* session, const unsigned char** chosen, unsigned char* length,
                           const unsigned char* offered, unsigned int size, void* whose);
    static int by_ticket(SSL* session, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                         int sealing);

    SSL_CTX* context_for(const certificate& certificate, const tls_options& by);
    void add(certificate certificate, const tls_options& by);
    void trust(SSL_CTX& context) const;
    void read_ticket_keys(const std::string& file, const ticket_key& at_random);
    void read_trust(const std::string& file);
    void set_up(SSL_CTX& context, const tls_options& by);

    std::vector<context_pointer> contexts_;  ///< the first one is asked when no name fits
    std::vector<std::set<std::string>> names_of_;
    std::vector<std::vector<int>> kinds_of_;  ///< of keys, in each of them
    std::map<std::string, SSL_CTX*, std::less<>> by_name_;
    std::vector<ticket_key> ticket_keys_;
    std::vector<certificate_pointer> trusted_;
    std::vector<shown> shown_;
    std::vector<std::string> warnings_;
    std::string identity_;  ///< what sessions are good for
    std::string digest_;
};

}  // namespace server::tls
