#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/integration/service.hpp"
#include "tests/tls/authority.hpp"
#include "tests/tls/client.hpp"

namespace tls_service {

using namespace std::chrono_literals;
using integration::metric;
using integration::number;
using integration::service;
using support::eventually;
using support::get;
using tls_tests::authority;

/// A TCP connection to `to`; throws std::system_error when it cannot be made.
int connected(const support::endpoint& to);

/// The real binary with a certificate of an authority of the test's own.
struct TlsService : testing::Test {
    support::temporary_directory folder;
    authority ours;

    TlsService() { write("localhost"); }

    std::string path(const std::string& name) const { return (folder.path() / name).string(); }
    /// The certificate that the service has, or is to have.
    void write(const std::string& subject) { authority::write(folder.path(), "a", ours.issue({.subject = subject})); }
    service::options how(std::vector<std::string> more = {}) const {
        std::vector<std::string> flags = {"--app.tls_certificate=" + path("a.crt"), "--app.tls_key=" + path("a.key")};
        flags.insert(flags.end(), more.begin(), more.end());
        return {.flags = std::move(flags)};
    }
    tls_tests::client::wish trusting() const { return {.ca = ours.certificate(), .name = "localhost"}; }
    /// Before its handshake.
    std::unique_ptr<tls_tests::client> dial(const service& to, const tls_tests::client::wish& how) const {
        return std::make_unique<tls_tests::client>(connected(to.app()), how);
    }
    std::unique_ptr<tls_tests::client> dial(const service& to) const { return dial(to, trusting()); }
    /// After it.
    std::unique_ptr<tls_tests::client> connect(const service& to) const {
        auto socket = dial(to);
        EXPECT_TRUE(socket->connect()) << socket->why();
        return socket;
    }
};

}  // namespace tls_service
