#include "server/client/client_tls.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "lifecycle/tls/algorithms.hpp"
#include "lifecycle/tls/extensions.hpp"

namespace server {
namespace {

namespace ssl = boost::asio::ssl;

[[noreturn]] void refuse(std::string_view key, const std::string& file, std::string_view why,
                         std::string_view allowed) {
    throw std::runtime_error(fmt::format("client.{} = \"{}\": {}: allowed is {}", key, file, why, allowed));
}

void check(const boost::system::error_code& error, std::string_view key, const std::string& file,
           std::string_view allowed) {
    if (error) refuse(key, file, error.message(), allowed);
}

/// Does not ask for a password, as OpenSSL would on the terminal.
std::string no_password(std::size_t, ssl::context::password_purpose) { return {}; }

std::string bytes_of(std::string_view key, const std::string& file, std::string_view allowed) {
    std::ifstream in(file, std::ios::binary);
    if (!in) refuse(key, file, "cannot be read", allowed);
    std::string all(std::istreambuf_iterator<char>(in), {});
    if (all.empty()) refuse(key, file, "is empty", allowed);
    return all;
}

client_tls::context_pointer read(const client_options& by) {
    constexpr auto some_ca = "PEM with at least one certificate, or empty for those of the system";
    constexpr auto some_chain = "PEM with the certificate first, then that of its issuer";
    constexpr auto some_key = "PEM with the key of client.tls_certificate, without a password";
    lifecycle::make_algorithms();
    auto made = std::make_shared<ssl::context>(ssl::context::tls_client);
    ::SSL_CTX_set_min_proto_version(made->native_handle(), TLS1_2_VERSION);
    made->set_verify_mode(ssl::verify_peer);
    boost::system::error_code error;
    if (by.tls_ca.empty()) {
        made->set_default_verify_paths(error);
        check(error, "tls_ca", by.tls_ca, some_ca);
    } else {
        const auto pem = bytes_of("tls_ca", by.tls_ca, some_ca);
        made->add_certificate_authority(boost::asio::buffer(pem), error);
        check(error, "tls_ca", by.tls_ca, some_ca);
    }
    lifecycle::read_extensions(made->native_handle());
    if (by.tls_certificate.empty() != by.tls_key.empty())
        refuse(by.tls_key.empty() ? "tls_key" : "tls_certificate", "", "stands alone", "both of the two, or none");
    if (by.tls_certificate.empty()) return made;
    made->set_password_callback(no_password);
    const auto chain = bytes_of("tls_certificate", by.tls_certificate, some_chain);
    made->use_certificate_chain(boost::asio::buffer(chain), error);
    check(error, "tls_certificate", by.tls_certificate, some_chain);
    const auto key = bytes_of("tls_key", by.tls_key, some_key);
    made->use_private_key(boost::asio::buffer(key), ssl::context::pem, error);
    check(error, "tls_key", by.tls_key, some_key);
    // A key of another algorithm passes the calls above.
    if (::SSL_CTX_check_private_key(made->native_handle()) != 1)
        refuse("tls_key", by.tls_key, "is the key of another certificate", some_key);
    return made;
}

}  // namespace

client_tls::client_tls(const client_options& by) : by_(by), in_force_(read(by)) {}

client_tls::context_pointer client_tls::now() const {
    const std::scoped_lock lock(mutex_);
    return in_force_;
}

void client_tls::reload() {
    auto fresh = read(by_);
    const std::scoped_lock lock(mutex_);
    in_force_ = std::move(fresh);
}

}  // namespace server
