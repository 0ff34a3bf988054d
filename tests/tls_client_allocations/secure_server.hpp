#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include "tests/allocations/failing.hpp"
#include "tests/support/process.hpp"
#include "tests/support/scripted_upstream.hpp"
#include "tests/tls_client/tls_front.hpp"

namespace tls_client_allocations {

/// A server that speaks TLS, in a process of its own: in this one OpenSSL is never used, so that each of its children
/// is the first to do so.
class secure_server {
public:
    secure_server() {
        int told[2], over[2];
        if (::pipe(told) != 0 || ::pipe(over) != 0) std::abort();
        std::cout.flush();
        server_ = ::fork();
        if (server_ == 0) {
            ::close(over[1]);
            serve(told[1], over[0]);
            ::_exit(0);
        }
        ::close(told[1]);
        ::close(over[0]);
        over_ = over[1];
        EXPECT_EQ(::read(told[0], &port_, sizeof port_), ssize_t{sizeof port_});
        ::close(told[0]);
    }
    ~secure_server() {
        ::close(over_);
        ::waitpid(server_, nullptr, 0);
    }
    secure_server(const secure_server&) = delete;
    secure_server& operator=(const secure_server&) = delete;

    std::string origin() const { return "https://127.0.0.1:" + std::to_string(port_); }
    std::string ca() const { return folder_.path() / "ca.pem"; }

private:
    void serve(int tell, int until) const {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        tls_tests::authority root;
        support::write_file(ca(), root.certificate());
        const support::scripted_upstream behind;
        const auto clear = behind.origin();
        const auto port = static_cast<std::uint16_t>(std::stoi(clear.substr(clear.rfind(':') + 1)));
        const tls_client::tls_front front(port, root.issue({.names = {"127.0.0.1"}}));
        const auto served = front.port();
        if (::write(tell, &served, sizeof served) != ssize_t{sizeof served}) return;
        char byte = 0;
        [[maybe_unused]] const auto end = ::read(until, &byte, 1);
    }

    support::temporary_directory folder_;
    pid_t server_ = -1;
    int over_ = -1;
    std::uint16_t port_ = 0;
};

/// What a client does after its start: a call during which allocations fail, and another. True when the second went
/// well.
using calls = std::function<bool(const std::function<void()>& arm, const std::function<void()>& disarm)>;

/// Tries in which the nth allocation of the first call fails, each in a process of its own.
class tries {
public:
    explicit tries(const calls& how) : how_(how) {}

    void begin(std::uint64_t nth, int tell = -1) {
        std::cout.flush();
        const pid_t child = ::fork();
        if (child != 0) return void(under_way_.emplace(child, nth));
        ::alarm(60);
        std::uint64_t all = 0;
        const bool well = how_([&] { failing::arm(nth, 1); }, [&] { all = failing::disarm(); });
        const bool told = tell < 0 || ::write(tell, &all, sizeof all) == ssize_t{sizeof all};
        ::_exit(well && told ? 0 : 1);
    }
    void end_one() {
        int status = 0;
        const auto ended = under_way_.find(::waitpid(-1, &status, 0));
        ASSERT_TRUE(ended != under_way_.end());
        EXPECT_FALSE(WIFSIGNALED(status)) << "allocation " << ended->second << ": signal " << WTERMSIG(status);
        EXPECT_EQ(WEXITSTATUS(status), 0)
            << "one call found no memory, and the next one failed too: allocation " << ended->second;
        under_way_.erase(ended);
    }
    std::size_t under_way() const { return under_way_.size(); }

private:
    const calls& how_;
    std::map<pid_t, std::uint64_t> under_way_;
};

/// How many allocations the first call makes.
inline std::uint64_t count(const calls& how) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    tries one(how);
    one.begin(0, ends[1]);
    one.end_one();
    ::close(ends[1]);
    std::uint64_t all = 0;
    EXPECT_EQ(::read(ends[0], &all, sizeof all), ssize_t{sizeof all});
    ::close(ends[0]);
    return all;
}

/// TLS_CLIENT_ALLOCATIONS_STEP=1 for all of them; the usual run takes a sample.
inline void sweep(const calls& how) {
    const char* const text = std::getenv("TLS_CLIENT_ALLOCATIONS_STEP");
    const auto step = text == nullptr ? 7 : std::stoull(text);
    const auto at_once = 2 * std::max(1U, std::thread::hardware_concurrency());
    const auto all = count(how);
    ASSERT_GT(all, 100U);
    std::cout << all << " allocations\n";
    tries some(how);
    for (std::uint64_t nth = 1; nth <= all; nth += step) {
        if (some.under_way() == at_once) some.end_one();
        some.begin(nth);
    }
    while (some.under_way() > 0 && !testing::Test::HasFatalFailure()) some.end_one();
}

}  // namespace tls_client_allocations
