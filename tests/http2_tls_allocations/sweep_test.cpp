// As tests/allocations, through TLS 1.3 and HTTP/2: each allocation of the threads that serve fails once, those of
// OpenSSL and nghttp2 among them. Each in a process of its own, in which nothing has been used that is made at the
// first use.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <thread>

#include "server/http2/session.hpp"
#include "server/tls/port.hpp"
#include "tests/allocations/failing.hpp"
#include "tests/allocations/house.hpp"
#include "tests/http2/peer.hpp"
#include "tests/tls/authority.hpp"
#include "tests/tls/client.hpp"

namespace {

using namespace std::chrono_literals;
using http2_tests::peer;
using lifecycle::clock;
using support::get;

constexpr auto patience = 5s;

/// A client that speaks as browsers do.
class guest {
public:
    guest(const server::http_server& to, const std::string& protocols, SSL_SESSION* session = nullptr) {
        const support::endpoint there(to.address());
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const auto address = there.address();
        if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            ADD_FAILURE() << "nobody listens";
        through_.emplace(socket,
                         tls_tests::client::wish{
                             .version = TLS1_3_VERSION, .protocols = protocols, .session = session, .limit = patience});
        open_ = through_->connect();
        expect_no_silence();
    }

    /// Until all streams that were asked for have ended, well or not.
    void settle(const std::vector<std::int32_t>& streams) {
        const auto late = clock::now() + patience;
        while (open_ && !std::ranges::all_of(streams, [this](auto id) { return over(id); })) {
            if (const auto out = http2.take(); !out.empty() && !through_->send_all(out)) break;
            if (!through_->readable(50ms) && clock::now() > late) {
                ADD_FAILURE() << "a stream has no end";
                break;
            }
            while (through_->read() == tls_tests::client::step::done) {}
            open_ = http2.receive(std::string_view(through_->seen()).substr(heard_)) && !through_->ended();
            heard_ = through_->seen().size();
        }
    }
    int status(std::int32_t id) { return http2.answers[id].ended ? http2.answers[id].status : 0; }
    /// Of a request in HTTP/1.1; 0: it was not answered.
    int exchange(const std::string& request) {
        if (!open_) return 0;
        const auto answer = through_->exchange(request);
        expect_no_silence();
        return answer ? answer->status : 0;
    }
    SSL_SESSION* ticket() const { return through_->ticket(); }
    bool open() const { return open_; }
    std::string protocol() const { return through_->protocol(); }
    bool resumed() const { return through_->resumed(); }

    peer http2;

private:
    bool over(std::int32_t id) { return http2.answers[id].ended || http2.answers[id].reset; }
    void expect_no_silence() {
        EXPECT_TRUE(began_ + patience > clock::now() || through_->ended()) << "nobody answers";
        began_ = clock::now();
    }

    clock::time_point began_ = clock::now();
    std::optional<tls_tests::client> through_;
    std::size_t heard_ = 0;
    bool open_ = false;
};

const std::string both = "\x02h2\x08http/1.1", only_http1 = "\x08http/1.1";

struct seen_day {
    std::set<std::string> created;
    std::string other;  ///< what was not as it should be; empty when nothing
};

/// The same each time: a full handshake, streams of every kind, and two connections that resume.
seen_day a_day(const server::http_server& server) {
    seen_day seen;
    guest first(server, both);
    const auto key = [](const char* id) { return peer::fields{{"idempotency-key", id}}; };
    const auto hello = first.http2.get("/"), slow = first.http2.get("/slow"), big = first.http2.get("/big"),
               nowhere = first.http2.get("/nowhere"), posted = first.http2.ask("POST", "/events", key("event-1"), "x"),
               echoed = first.http2.ask("POST", "/echo", {}, std::string(40'000, 'y')), cut = first.http2.get("/big");
    first.settle({hello, slow, nowhere, posted});
    first.http2.reset(cut);
    first.settle({big, echoed});
    const auto again = first.http2.get("/", {{"x-request-id", "two"}});
    first.settle({again});
    if (first.status(posted) == 201) seen.created.insert("event-1");
    guest second(server, both, first.ticket());
    const auto later = second.http2.ask("POST", "/events", key("event-2"), "x");
    second.settle({later});
    if (second.status(later) == 201) seen.created.insert("event-2");
    guest third(server, only_http1, first.ticket());
    if (third.exchange(support::request("POST", "/events", "Idempotency-Key: event-3\r\n", "x")) == 201)
        seen.created.insert("event-3");
    third.exchange(get("/"));
    const auto expect = [&](bool so, const char* what) { seen.other += so ? "" : what; };
    expect(first.protocol() == "h2" && second.protocol() == "h2" && third.protocol() == "http/1.1", " protocol");
    expect(second.resumed() || third.resumed(), " resumption");
    for (const auto id : {hello, slow, echoed, again}) expect(first.status(id) == 200, " status");
    expect(first.status(nowhere) == 404, " nowhere");
    expect(first.http2.answers[big].body.size() == 300'000, " big");
    return seen;
}

struct Http2TlsAllocations : testing::Test {
    Http2TlsAllocations() {
        tls_tests::authority ours;
        tls_tests::authority::write(folder.path(), "a", ours.issue());
        server::tls_options by;
        by.http2 = true;
        by.certificate = {(folder.path() / "a.crt").string()};
        by.key = {(folder.path() / "a.key").string()};
        port.emplace(
            "app", by, [](std::string_view key) { return std::string(key); }, log);
    }

    /// How many allocations there were; `how_many` fail, from the nth on.
    std::uint64_t try_day(std::uint64_t nth, std::uint64_t how_many) const {
        failing::house house([this](server::http_server& made) {
            made.speak_through(port->layers());
            made.speak_http2(std::make_shared<server::http2::source>());
        });
        house.server().ask(get("/"));  // refused, but its loop has begun: what fails before is a start that fails
        failing::arm(nth, how_many);
        const auto seen = a_day(house.server().server());
        const auto all = failing::disarm();
        guest last(house.server().server(), both);
        const auto hello = last.http2.get("/");
        last.settle({hello});
        EXPECT_EQ(last.status(hello), 200) << "deaf";
        EXPECT_EQ(house.faults(seen.created), "");
        EXPECT_TRUE(nth > 0 || (seen.created.size() == 3 && seen.other.empty())) << seen.other;
        return all;
    }
    /// In a process of its own, which ends with 0 when all was well, and tells `to` how many there were.
    pid_t begin_day_apart(std::uint64_t nth, std::uint64_t how_many, int to = -1) const {
        std::cout.flush();
        std::fflush(nullptr);
        const pid_t child = ::fork();
        if (child != 0) return child;
        ::alarm(60);
        const auto all = try_day(nth, how_many);
        std::fflush(nullptr);
        const bool told = to < 0 || ::write(to, &all, sizeof all) == ssize_t{sizeof all};
        ::_exit(told && !HasFailure() ? 0 : 1);
    }
    /// Of the days that are under way.
    static void end_one(std::map<pid_t, std::uint64_t>& days) {
        int status = 0;
        const auto ended = days.find(::waitpid(-1, &status, 0));
        ASSERT_TRUE(ended != days.end());
        EXPECT_FALSE(WIFSIGNALED(status)) << "allocation " << ended->second << ": signal " << WTERMSIG(status);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "allocation " << ended->second;
        days.erase(ended);
    }
    std::uint64_t count() const {
        int ends[2];
        EXPECT_EQ(::pipe(ends), 0);
        std::map<pid_t, std::uint64_t> day{{begin_day_apart(0, 0, ends[1]), 0}};
        end_one(day);
        std::uint64_t all = 0;
        ::close(ends[1]);
        EXPECT_EQ(::read(ends[0], &all, sizeof all), ssize_t{sizeof all});
        ::close(ends[0]);
        return all;
    }
    /// HTTP2_TLS_ALLOCATIONS_STEP=1 for all of them; the usual run takes a sample. HTTP2_TLS_ALLOCATIONS_AT_ONCE of the
    /// processes run side by side, else two a processor: they wait for each other's timers and for the disk.
    void sweep(std::uint64_t how_many) const {
        const auto setting = [](const char* name, std::uint64_t usual) {
            const char* const text = std::getenv(name);
            return text == nullptr ? usual : std::stoull(text);
        };
        const auto step = setting("HTTP2_TLS_ALLOCATIONS_STEP", 97);
        const auto at_once =
            setting("HTTP2_TLS_ALLOCATIONS_AT_ONCE", 2 * std::max(1U, std::thread::hardware_concurrency()));
        const auto all = count();
        ASSERT_GT(all, 500U);
        std::cout << all << " allocations\n";
        std::map<pid_t, std::uint64_t> days;
        // Of those that fail together half have failed in the try before.
        for (std::uint64_t nth = 1; nth <= all + all / 8 && !HasFailure(); nth += step * ((how_many + 1) / 2)) {
            if (days.size() == at_once) end_one(days);
            days.emplace(begin_day_apart(nth, how_many), nth);
        }
        while (!days.empty() && !HasFatalFailure()) end_one(days);
    }

    support::temporary_directory folder;
    std::ostringstream written;
    spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(written)};
    std::optional<server::tls::port> port;
};

TEST_F(Http2TlsAllocations, CostTheirConnectionOrTheirRequestWhenOneFails) { sweep(1); }

TEST_F(Http2TlsAllocations, CostTheirConnectionsOrTheirRequestsWhenFiveInARowFail) { sweep(5); }

TEST_F(Http2TlsAllocations, CostNobodyElseWhenThereIsNoMemoryForALongTime) { sweep(100); }

}  // namespace
