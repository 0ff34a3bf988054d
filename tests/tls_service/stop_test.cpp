// A stop of a service that speaks TLS loses nobody: neither who is in a handshake, nor who has just come out of one.
// Nor does a change of certificates.

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

#include "tests/support/in_time.hpp"
#include "tests/tls_service/serving.hpp"

namespace tls_service {
namespace {

using testing::HasSubstr;

TEST_F(TlsService, AHandshakeUnderWayIsServedInAStopAndToldToClose) {
    service service(how({"--shutdown.idle_grace=1s"}));
    const auto hello = dial(service);
    hello->say_hello();
    const auto half = dial(service);
    half->say_hello();
    ASSERT_TRUE(half->readable(5s));     // the server's flight is there
    const auto done = connect(service);  // and nothing asked yet
    const auto idle = connect(service);
    ASSERT_TRUE(idle->exchange(get("/")));
    service.begin_stop(SIGTERM);
    for (const auto& client : {hello.get(), half.get(), done.get(), idle.get()}) {
        ASSERT_TRUE(client->connect()) << client->why();
        const auto answer = client->exchange(get("/"));
        ASSERT_TRUE(answer) << client->why();
        EXPECT_EQ(answer->status, 200);
        EXPECT_TRUE(answer->closes());
        client->receive_to_end();
        EXPECT_TRUE(client->told_of_end());
    }
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(number(service.report(), "requests", "cut"), 0);
}

/// Its hello is there before the idle grace ends, the rest only after it.
TEST_F(TlsService, AHandshakeOutlastsTheIdleGrace) {
    service service(how({"--shutdown.idle_grace=50ms"}));
    const auto slow = dial(service);
    slow->say_hello();
    ASSERT_TRUE(slow->readable(5s));
    const auto idle = connect(service);
    ASSERT_TRUE(idle->exchange(get("/")));
    service.begin_stop(SIGTERM);
    EXPECT_EQ(idle->receive_to_end(), "");  // the grace is over
    ASSERT_TRUE(slow->connect()) << slow->why();
    const auto answer = slow->exchange(get("/"));
    ASSERT_TRUE(answer) << slow->why();
    EXPECT_TRUE(answer->closes());
    EXPECT_EQ(service.exit_code(), 0) << service.err();
}

TEST_F(TlsService, AnIdleConnectionIsToldOfItsEndByCloseNotify) {
    service service(how({"--shutdown.idle_grace=50ms"}));
    const auto idle = connect(service);
    ASSERT_TRUE(idle->exchange(get("/")));
    service.begin_stop(SIGTERM);
    EXPECT_EQ(idle->receive_to_end(), "");
    EXPECT_TRUE(idle->told_of_end());
    EXPECT_EQ(service.exit_code(), 0);
}

TEST_F(TlsService, AHandshakeThatIsNeverFinishedIsCutAtTheEndOfTheAppsShare) {
    service service(how({"--shutdown.budget=1500ms", "--shutdown.flush=200ms", "--shutdown.idle_grace=100ms"}));
    const auto half = dial(service);
    half->say_hello();
    ASSERT_TRUE(half->readable(5s));
    const auto began = service.begin_stop(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_TRUE(support::in_time(service.lasted(began), 1'700ms));
    EXPECT_EQ(number(service.report(), "requests", "cut"), 0);
    EXPECT_THAT(service.err(), HasSubstr("app: TLS handshakes that were cut, since they lasted too long or to the end "
                                         "of the stop: 1\n"));
}

TEST_F(TlsService, InTheLameDuckOnlyOldConnectionsAreToldToClose) {
    service service(how({"--shutdown.lame_duck=2s"}));
    const auto old = connect(service);
    ASSERT_TRUE(old->exchange(get("/")));
    const auto began = service.begin_stop(SIGTERM);
    const auto newcomer = connect(service);
    const auto first = newcomer->exchange(get("/"));
    ASSERT_TRUE(first);
    EXPECT_FALSE(first->closes()) << "each new connection would be one more handshake";
    const auto last = old->exchange(get("/"));
    ASSERT_TRUE(last);
    EXPECT_TRUE(last->closes());
    eventually([&] { return support::clock::now() - began > 1'850ms; });
    const auto told = newcomer->exchange(get("/"));
    ASSERT_TRUE(told);
    EXPECT_TRUE(told->closes());
    EXPECT_EQ(service.exit_code(), 0);
}

TEST_F(TlsService, AnUntilCloseBodyThatIsCutIsNoWholeOne) {
    service service(how({"--shutdown.budget=1s", "--shutdown.flush=100ms", "--shutdown.idle_grace=0s"}));
    const auto client = connect(service);
    ASSERT_TRUE(client->send_all("GET /big?bytes=1000000000000 HTTP/1.0\r\n\r\n"));
    ASSERT_TRUE(client->readable(5s));
    service.begin_stop(SIGTERM);
    EXPECT_EQ(service.exit_code(), 3);
    client->receive_to_end();
    EXPECT_FALSE(client->told_of_end());
}

// ── under load ──────────────────────────────────────────────────────────────────────────────────

/// Clients that ask and ask, on kept connections and on new ones, until nobody listens any more.
class crowd {
public:
    crowd(const TlsService& test, const service& of, int clients) : test_(test), of_(of) {
        for (int nth = 0; nth < clients; ++nth) threads_.emplace_back([this, nth] { run(nth % 3 == 0); });
    }
    ~crowd() { end(); }
    crowd(const crowd&) = delete;
    crowd& operator=(const crowd&) = delete;

    void end() {
        over_ = true;
        for (auto& thread : threads_)
            if (thread.joinable()) thread.join();
    }
    int answered() const { return answered_; }
    std::string lost() const {
        const std::scoped_lock lock(mutex_);
        return lost_;
    }

private:
    /// A connection that was made is served; one that stayed idle and was closed is asked again on another, as clients
    /// do.
    void run(bool always_new) {
        while (!over_) {
            int socket = -1;
            try {
                socket = connected(of_.app());
            } catch (const std::system_error&) {
                return;  // nobody listens
            }
            tls_tests::client client(socket, test_.trusting());
            if (!client.connect()) return lose("handshake: " + client.why());
            for (int asked = 0; !over_; ++asked) {
                if (!client.send_all(get("/")) && asked > 0) break;
                const auto answer = client.receive();
                if (!answer && asked > 0 && client.told_of_end()) break;
                if (!answer || answer->status != 200) return lose(fmt::format("request {}: {}", asked, client.why()));
                ++answered_;
                if (answer->closes() || always_new) break;
            }
        }
    }
    void lose(const std::string& how) {
        const std::scoped_lock lock(mutex_);
        lost_ += how + '\n';
    }

    const TlsService& test_;
    const service& of_;
    std::atomic<bool> over_{false};
    std::atomic<int> answered_{0};
    mutable std::mutex mutex_;
    std::string lost_;
    std::vector<std::thread> threads_;
};

TEST_F(TlsService, AStopUnderLoadLosesNobody) {
    for (const auto* const lame_duck : {"0s", "300ms"}) {
        service service(how({"--shutdown.lame_duck=" + std::string(lame_duck)}));
        crowd clients(*this, service, 12);
        EXPECT_TRUE(eventually([&] { return clients.answered() > 200; }));
        service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        clients.end();
        EXPECT_EQ(clients.lost(), "") << "with a lame duck of " << lame_duck;
        EXPECT_EQ(integration::faults(service.report()), "");
    }
}

TEST_F(TlsService, NewCertificatesUnderLoadLoseNobody) {
    service service(how());
    crowd clients(*this, service, 6);
    for (int nth = 0; nth < 20; ++nth) {
        const auto before = clients.answered();
        write(fmt::format("number {}", nth));
        service.process().signal(SIGHUP);
        EXPECT_TRUE(eventually([&] { return clients.answered() > before + 50; }));
    }
    EXPECT_TRUE(eventually([&] { return connect(service)->subject() == "number 19"; }));
    clients.end();
    EXPECT_EQ(clients.lost(), "");
}

}  // namespace
}  // namespace tls_service
