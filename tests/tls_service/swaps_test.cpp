// Certificates that change in the way of a kubelet while clients shake hands as fast as the machine lets them.

#include <fmt/format.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "tests/support/number_from.hpp"
#include "tests/tls_service/serving.hpp"

namespace tls_service {
namespace {

namespace fs = std::filesystem;

template <auto free>
struct freed_by {
    template <class T>
    void operator()(T* object) const {
        free(object);
    }
};

std::string subject_of(int version) { return fmt::format("number {}", version); }

/// Clients that do nothing but full handshakes, a request and its answer on each, all from connections of their own.
/// The certificate's name has a number, which must never be a lower one than before. Whether its authority is trusted
/// is not looked at, since it takes as long as the server does; that the certificate is that of the key always is.
class handshakes {
public:
    handshakes(const service& of, int clients) : of_(of) {
        ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write(2)
        for (int nth = 0; nth < clients; ++nth) threads_.emplace_back([this] { run(); });
    }
    ~handshakes() { end(); }
    handshakes(const handshakes&) = delete;
    handshakes& operator=(const handshakes&) = delete;

    void end() {
        over_ = true;
        for (auto& thread : threads_)
            if (thread.joinable()) thread.join();
    }
    int done() const { return done_; }
    int newest() const { return newest_; }
    std::string faults() const {
        const std::scoped_lock lock(mutex_);
        return faults_;
    }

private:
    void run() {
        const std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>> context(SSL_CTX_new(TLS_client_method()));
        SSL_CTX_set_cert_verify_callback(
            context.get(), [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
        for (int before = 0; !over_;) {
            const std::unique_ptr<SSL, freed_by<SSL_free>> session(SSL_new(context.get()));
            ERR_clear_error();
            std::string fault;
            int socket = -1;
            try {
                socket = connected(of_.app());
                fault = ask(*session, socket, before);
            } catch (const std::system_error& error) {
                fault = error.what();
            }
            if (socket >= 0) ::close(socket);
            ++done_;
            if (fault.empty()) continue;
            const std::scoped_lock lock(mutex_);
            faults_ += fault + '\n';
            return;
        }
    }
    /// What is wrong; nothing where all is well.
    std::string ask(SSL& session, int socket, int& before) {
        const timeval limit{.tv_sec = 20, .tv_usec = 0};
        for (const int which : {SO_RCVTIMEO, SO_SNDTIMEO})
            ::setsockopt(socket, SOL_SOCKET, which, &limit, sizeof limit);
        SSL_set_fd(&session, socket);
        const auto why = [&](const char* in, int returned) {
            const char* const text = ERR_reason_error_string(ERR_peek_last_error());
            return fmt::format("{}: error {}, {}, {}", in, SSL_get_error(&session, returned),
                               text != nullptr ? text : "-", std::strerror(errno));
        };
        if (const int shaken = SSL_connect(&session); shaken != 1) return why("handshake", shaken);
        char name[64] = {};
        X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(&session)), NID_commonName, name,
                                  sizeof name);
        const int version = std::atoi(name + sizeof "number " - 1);
        if (version < before) return fmt::format("number {} after number {}", version, before);
        before = version;
        for (int newest = newest_; version > newest && !newest_.compare_exchange_weak(newest, version);) {}
        const auto request = get("/", "Connection: close\r\n");
        if (const int sent = SSL_write(&session, request.data(), static_cast<int>(request.size())); sent <= 0)
            return why("request", sent);
        std::string answer;
        std::array<char, 4'096> some;
        int count = 0;
        while ((count = SSL_read(&session, some.data(), static_cast<int>(some.size()))) > 0)
            answer.append(some.data(), static_cast<std::size_t>(count));
        if (SSL_get_error(&session, count) != SSL_ERROR_ZERO_RETURN) return why("answer", count);
        return answer.starts_with("HTTP/1.1 200 ") ? "" : "answer: " + answer;
    }

    const service& of_;
    std::atomic<bool> over_{false};
    std::atomic<int> done_{0}, newest_{0};
    mutable std::mutex mutex_;
    std::string faults_;
    std::vector<std::thread> threads_;
};

/// What the kubelet does with the volume of a Secret: a new folder, a link that is moved, and the old folder is
/// removed.
void swap(const fs::path& volume, authority& by, int version) {
    const auto place = fmt::format("..{}", version), before = fmt::format("..{}", version - 1);
    fs::create_directory(volume / place);
    authority::write(volume / place, "tls", by.issue({.subject = subject_of(version)}));
    fs::create_directory_symlink(place, volume / "..data_tmp");
    fs::rename(volume / "..data_tmp", volume / "..data");
    fs::remove_all(volume / before);
}

/// What its descriptors lead to, one entry for each.
std::multiset<std::string> open_in(service& of) {
    std::multiset<std::string> all;
    std::error_code closed_meanwhile;
    for (const auto& each : fs::directory_iterator(fmt::format("/proc/{}/fd", of.process().pid())))
        all.insert(fs::read_symlink(each.path(), closed_meanwhile).string());
    return all;
}

/// What it has open and had not before. A number would not do: `before` may hold a file of the start, soon closed.
std::vector<std::string> newly_open_in(service& of, const std::multiset<std::string>& before) {
    std::vector<std::string> fresh;
    std::ranges::set_difference(open_in(of), before, std::back_inserter(fresh));
    return fresh;
}

/// SWAPS of them, a few in an ordinary run.
TEST_F(TlsService, SwapsOfAKubeletUnderHandshakesLoseNobody) {
    const auto swaps = static_cast<int>(support::number_from("SWAPS", 3));
    const auto volume = folder.path() / "volume";
    fs::create_directory(volume);
    swap(volume, ours, 1);
    for (const auto* const name : {"tls.crt", "tls.key"}) fs::create_symlink(fs::path("..data") / name, volume / name);
    const std::vector<std::string> flags = {"--app.tls_certificate=" + (volume / "tls.crt").string(),
                                            "--app.tls_key=" + (volume / "tls.key").string()};
    service service(service::options{.flags = flags});
    const auto open = open_in(service);
    ASSERT_EQ(connect(service)->subject(), subject_of(1));
    const auto began = support::clock::now();
    handshakes clients(service, 8);
    for (int version = 2; version <= swaps + 1; ++version) {
        swap(volume, ours, version);
        EXPECT_TRUE(eventually([&] { return clients.newest() == version; })) << version << '\n' << service.err();
    }
    clients.end();
    const std::chrono::duration<double> took = support::clock::now() - began;
    fmt::print("{} full handshakes in {:.1f} s, {:.0f} a second, {} swaps\n", clients.done(), took.count(),
               clients.done() / took.count(), swaps);
    EXPECT_EQ(clients.faults(), "");
    EXPECT_EQ(connect(service)->subject(), subject_of(swaps + 1));
    EXPECT_EQ(metric(service, "tls_reloads_total{server=\"app\",result=\"applied\"}"), swaps);
    std::vector<std::string> fresh;
    EXPECT_TRUE(eventually([&] { return (fresh = newly_open_in(service, open)).empty(); }))
        << testing::PrintToString(fresh);
}

}  // namespace
}  // namespace tls_service
