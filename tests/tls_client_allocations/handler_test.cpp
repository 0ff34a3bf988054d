// Handlers that wait for others, on a loop of a server: an allocation that fails while they do costs that request,
// which is answered 500 or 502 or closed, and none after it.
#include <array>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <optional>
#include <thread>

#include "lifecycle/pool/pool.hpp"
#include "lifecycle/pool/run_on.hpp"
#include "server/client/http_client.hpp"
#include "tests/server/serving.hpp"
#include "tests/tls_client_allocations/secure_server.hpp"

namespace {

using namespace serving;
using tls_client_allocations::secure_server;

/// A server whose handlers call an https server, one or two at a time, and have a job done by a pool.
class calling_server {
public:
    explicit calling_server(const secure_server& there)
        : url_(there.origin() + "/ok"), calls_(options(there), stop_, workers_, log_) {
        works_.emplace([this](std::stop_token token) { jobs_.run(std::move(token)); });
        server_.emplace(calls_.routes(routes()));
    }

    /// Its status; 0: the connection was closed.
    int ask(const std::string& path) {
        auto client = server_->connect(0, 5s);
        client.send(get(path));
        const auto answer = client.receive();
        if (client.ended() == support::client::ending::late) wrong_ += " nobody answers " + path;
        return answer ? answer->status : 0;
    }
    /// After calls without memory.
    void expect(const std::string& path) {
        const int status = ask(path);
        if (status != 200) wrong_ += " " + path + " is answered " + std::to_string(status) + " afterwards";
    }
    std::string aggregate() const { return "/aggregate?url=" + url_ + "&url=" + url_; }
    /// What is wrong, empty when nothing is; with a fault a stop may have no end.
    std::string faults() {
        if (!wrong_.empty()) return wrong_;
        stop_.request("test");  // no connection is kept from here on
        server_->stop();
        server::stop_account account;
        server_->server().account(account);
        if (account.requests.cut + account.requests.under_way > 0) wrong_ += " a request has no end";
        if (server_->failure()) wrong_ += " the server has failed";
        return wrong_;
    }

private:
    static server::client_options options(const secure_server& there) {
        server::client_options made;
        made.allow = there.origin();
        made.tls_ca = there.ca();
        return made;
    }
    reply call(lifecycle::context context) {
        auto calling = calls_.send(std::move(context), {.to = calls_.find(url_).value()});
        const auto answer = co_await std::move(calling);
        co_return response(answer && answer->status == 200 ? http::status::ok : http::status::bad_gateway);
    }
    reply job(lifecycle::context context) {
        auto work = [](const std::stop_token&) { return std::string(100, 'x'); };
        auto working = lifecycle::run_on(jobs_, std::move(context), "a job", std::move(work));
        const auto done = co_await std::move(working);
        co_return response(done ? http::status::ok : http::status::bad_gateway);
    }
    router routes() {
        router made;
        made.get("/", says("Hello, QCon!\n"));
        made.get("/call", [this](lifecycle::context context, const request&) { return call(std::move(context)); });
        made.get("/job", [this](lifecycle::context context, const request&) { return job(std::move(context)); });
        return made;
    }

    const std::string url_;
    std::string wrong_;
    spdlog::logger log_{"test"};
    lifecycle::workers workers_;
    lifecycle::stop_channel stop_{lifecycle::shutdown_options{}};
    server::http_client calls_;
    lifecycle::pool jobs_{{.name = "app-jobs", .workers = 1}, workers_, log_, [] { return clock::time_point::max(); }};
    std::optional<std::jthread> works_;
    std::optional<running> server_;  // last: its handlers use the rest
};

std::ptrdiff_t descriptors() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

TEST(TlsClientAllocations, ACallOfAHandlerThatFoundNoMemoryCostsNoLaterRequest) {
    const secure_server there;
    tls_client_allocations::sweep([&](const auto& arm, const auto& disarm) {
        const auto before = descriptors();
        std::string wrong;
        {
            calling_server server(there);
            server.ask("/");  // its loop has begun: what fails before is a start that fails
            arm();
            for (const auto& path : {std::string("/call"), server.aggregate(), std::string("/job")}) server.ask(path);
            disarm();
            for (const auto& path : {std::string("/call"), server.aggregate(), std::string("/job")})
                server.expect(path);
            wrong = server.faults();
            if (!wrong.empty()) {
                std::cerr << wrong << '\n';
                ::_exit(1);
            }
        }
        if (descriptors() != before) std::cerr << " left a descriptor\n";
        return descriptors() == before;
    });
}

}  // namespace
