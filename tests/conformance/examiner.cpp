#include "tests/conformance/examiner.hpp"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <sstream>
#include <stdexcept>

namespace conformance {
namespace {

using support::clock;

constexpr std::size_t at_a_time = 100;
constexpr std::string_view next_request = "GET /livez HTTP/1.1\r\nHost: exam\r\nConnection: close\r\n\r\n";

/// One answer of `question::expect`.
struct expected {
    explicit expected(std::string text) {
        optional = text.ends_with('?');
        if (optional) text.pop_back();
        std::istringstream all(text);
        for (std::string status; std::getline(all, status, '|');) {
            if (status.ends_with('h')) to_head = true, status.pop_back();
            statuses.push_back(status);
        }
    }
    bool allows(int status) const {
        for (const auto& each : statuses)
            if (each.ends_with("xx") ? status / 100 == each[0] - '0' : std::to_string(status) == each) return true;
        return false;
    }
    std::vector<std::string> statuses;
    bool optional = false;
    bool to_head = false;
};

/// Why the answer is not what `also` asks for; empty when it is.
std::string missing(const support::response& answer, const std::vector<std::string>& also) {
    for (const auto& each : also) {
        const auto colon = each.find(": ");
        bool right = false;
        if (each.starts_with('='))
            right = answer.body == each.substr(1);
        else if (each.starts_with('!'))
            right = !answer.has(each.substr(1));
        else if (colon != each.npos)
            right = answer.header(each.substr(0, colon)) == each.substr(colon + 2);
        else
            right = answer.has(each);
        if (!right) return fmt::format("the answer is not '{}'", each);
    }
    return {};
}

/// A client with one question.
class candidate {
public:
    candidate(const support::endpoint& server, const question& asked, pieces how, clock::time_point deadline)
        : deadline_(deadline), asked_(asked), how_(how), due_(asked.bytes) {
        std::istringstream words(asked.expect);
        for (std::string word; words >> word;) expected_.emplace_back(word);
        end_ = expected_.back().statuses.front();
        expected_.pop_back();
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const auto address = server.address();
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw std::system_error(errno, std::generic_category(), "connect " + server.text());
        after_sending();
    }
    ~candidate() { ::close(socket_); }
    candidate(const candidate&) = delete;
    candidate& operator=(const candidate&) = delete;

    bool done() const noexcept { return done_; }
    verdict result() const {
        const bool ended = ended_ || fault_.empty();
        return {&asked_, fault_, seen_ + (reset_ ? "reset" : ended ? "" : "open")};
    }
    pollfd watched() const {
        return {socket_, static_cast<short>(sent_ < due_.size() && !deaf_ ? POLLIN | POLLOUT : POLLIN), 0};
    }
    void on(short events, clock::time_point now) {
        if ((events & POLLOUT) != 0) send();
        if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) receive();
        if (!done_ && now >= deadline_) finish(satisfied() ? "the connection does not end" : "no answer in time");
    }

private:
    void finish(std::string fault) {
        if (!done_) fault_ = std::move(fault);
        done_ = true;
    }

    void send() {
        if (sent_ >= due_.size() || deaf_) return;
        const auto size = how_ == pieces::bytes ? 1 : due_.size() - sent_;
        const auto count = ::send(socket_, due_.data() + sent_, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN) deaf_ = true;  // refused in the middle: the answer is still to be read
        if (count > 0) sent_ += static_cast<std::size_t>(count);
        after_sending();
    }

    void after_sending() {
        if (sent_ < due_.size()) return;
        if (asked_.finishes_sending) ::shutdown(socket_, SHUT_WR);
        ask_again();
    }

    bool satisfied() const {
        for (auto nth = at_; nth < expected_.size(); ++nth)
            if (!expected_[nth].optional) return false;
        return true;
    }

    /// Everything has been sent and answered: is the connection still of use?
    void ask_again() {
        if (asking_again_ || end_ == "close" || sent_ < due_.size() || !satisfied()) return;
        if (end_ == "stop") return finish({});
        asking_again_ = true;
        due_ += next_request;
        expected_.emplace_back(end_ == "open" ? "200" : "200?");
        at_ = expected_.size() - 1;
    }

    void receive() {
        char buffer[16 * 1024];
        const auto count = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
        if (count < 0 && errno == EAGAIN) return;
        if (count > 0) {
            reader_.feed({buffer, static_cast<std::size_t>(count)});
            take_answers();
            return;
        }
        ended_ = true;
        reset_ = count < 0;
        on_end();
    }

    void take_answers() {
        try {
            while (!done_) {
                const auto answer = reader_.next(at_ < expected_.size() && expected_[at_].to_head);
                if (!answer) return;
                take(*answer);
            }
        } catch (const std::runtime_error& e) {
            until_end_ = std::string_view(e.what()).starts_with("a body without length");
            if (!until_end_) finish(e.what());
        }
    }

    void take(const support::response& answer) {
        seen_ += std::to_string(answer.status) + ' ';
        while (at_ < expected_.size() && expected_[at_].optional && !expected_[at_].allows(answer.status)) ++at_;
        if (at_ >= expected_.size()) return finish("more answers than requests");
        if (!expected_[at_].allows(answer.status)) return finish("the wrong status");
        ++at_;
        if (answer.status == 100 && !asked_.then.empty()) due_ += asked_.then;
        if (!asking_again_ && at_ == expected_.size())
            if (auto fault = missing(answer, asked_.also); !fault.empty()) return finish(std::move(fault));
        ask_again();
    }

    void on_end() {
        if (until_end_) {  // the end of the connection is the end of the body
            auto bytes = reader_.rest();
            const auto head = bytes.find("\r\n\r\n");
            bytes.insert(head, fmt::format("\r\nContent-Length: {}", bytes.size() - head - 4));
            support::response_reader whole;
            whole.feed(bytes);
            if (const auto last = whole.next()) take(*last);
        } else if (reader_.partial()) {
            return finish("half an answer");
        }
        if (done_) return;
        if (!satisfied())
            return finish(asking_again_ ? "the connection has ended" : "no answer, the connection has ended");
        finish({});
    }

    clock::time_point deadline_;
    const question& asked_;
    pieces how_;
    std::string due_;
    std::size_t sent_ = 0;
    std::vector<expected> expected_;
    std::string end_;
    std::size_t at_ = 0;  ///< the next of `expected_`
    support::response_reader reader_;
    std::string seen_, fault_;
    int socket_ = -1;
    bool asking_again_ = false, deaf_ = false, until_end_ = false, ended_ = false, reset_ = false, done_ = false;
};

}  // namespace

std::vector<verdict> examine(const support::endpoint& server, const questions& all, pieces how,
                             support::milliseconds limit) {
    std::vector<verdict> verdicts;
    std::vector<std::unique_ptr<candidate>> present;
    std::vector<pollfd> sockets;
    for (std::size_t next = 0; next < all.size() || !present.empty();) {
        for (; next < all.size() && present.size() < at_a_time; ++next)
            present.push_back(std::make_unique<candidate>(server, all[next], how, clock::now() + limit));
        sockets.clear();
        for (const auto& each : present) sockets.push_back(each->watched());
        ::poll(sockets.data(), sockets.size(), 20);
        const auto now = clock::now();
        for (std::size_t nth = 0; nth < present.size(); ++nth) present[nth]->on(sockets[nth].revents, now);
        std::erase_if(present, [&](const auto& each) {
            if (each->done()) verdicts.push_back(each->result());
            return each->done();
        });
    }
    return verdicts;
}

}  // namespace conformance
