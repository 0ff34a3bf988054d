// As much of a nats-server as a publisher meets, which can be silent when it is asked, or talk nonsense. One client at
// a time.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/brokers/fake_stream.hpp"
#include "tests/support/process.hpp"
#include "tracker/descriptor.hpp"

namespace brokers {

class fake_nats {
public:
    fake_nats() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length);
        ::listen(listener_.get(), 8);
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
        port_ = ntohs(address.sin_port);
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }

    std::atomic<int> silent_questions{0};              ///< about the stream, from now on
    std::atomic<bool> nonsense{false};                 ///< instead of what a server says first
    std::atomic<const char*> persist_mode{"default"};  ///< of the stream
    std::atomic<bool> no_ack{false};                   ///< the stream acknowledges nothing
    std::atomic<bool> knows_no_stream_info{false};     ///< what it says of the stream is no such answer
    std::atomic<bool> allows_atomic{false};            ///< its stream does
    std::atomic<int> answers_lost{0};                  ///< so many batches are stored, and the connection is cut
    std::atomic<int> replicas{1};                      ///< of the stream
    std::atomic<bool> acknowledges{true};              ///< else what it says to a message is left out
    std::atomic<bool> late{false};                     ///< it says to a message what is due to the one before

    std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }
    /// Ends the connection that there is, if any; it has ended when this returns, so what is sent next needs another.
    void cut() {
        cuts_ = true;
        cuts_.wait(true);
    }
    std::size_t connections() const { return connections_; }
    std::size_t published() const { return published_; }
    /// What has become of the messages. Safe from any thread.
    fake_stream& stream() { return stream_; }
    /// When it was asked about the stream.
    std::vector<std::chrono::steady_clock::time_point> questions() const {
        const std::scoped_lock lock(mutex_);
        return questions_;
    }

private:
    static bool readable(int descriptor) {
        pollfd watched{descriptor, POLLIN, 0};
        return ::poll(&watched, 1, 20) > 0;
    }
    void run(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            if (!readable(listener_.get())) {
                cut_is_done();
                continue;
            }
            tracker::descriptor client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            ++connections_;
            stream_.forget_open();
            inboxes_.clear();
            input_.clear();
            say(client.get(), nonsense
                                  ? "HTTP/1.1 400 Bad Request\r\n\r\n"
                                  : "INFO {\"server_id\":\"x\",\"version\":\"2.9.10\",\"proto\":1,\"headers\":true,"
                                    "\"jetstream\":true,\"max_payload\":1048576}\r\n");
            while (!stop.stop_requested() && !cuts_ && serve(client.get())) {}
            client.reset();
            cut_is_done();
        }
    }
    void cut_is_done() {
        cuts_ = false;
        cuts_.notify_all();
    }
    static void say(int client, const std::string& text) { ::send(client, text.data(), text.size(), MSG_NOSIGNAL); }

    /// False: the client has gone.
    bool serve(int client) {
        if (!readable(client)) return true;
        std::array<char, 4096> bytes{};
        const auto count = ::recv(client, bytes.data(), bytes.size(), 0);
        if (count <= 0) return false;
        input_.append(bytes.data(), static_cast<std::size_t>(count));
        for (auto end = input_.find("\r\n"); end != input_.npos; end = input_.find("\r\n")) {
            std::istringstream words(input_.substr(0, end));
            std::string verb;
            words >> verb;
            std::size_t whole = end + 2;
            if (verb == "PUB" || verb == "HPUB") {
                const auto size = std::stoul(input_.substr(input_.rfind(' ', end) + 1, end));
                whole += size + 2;
                if (input_.size() < whole) break;
                // HPUB subject [reply] headers all
                std::vector<std::string> rest;
                for (std::string word; words >> word;) rest.push_back(word);
                const std::size_t numbers = verb == "HPUB" ? 2 : 1;
                const auto reply = rest.size() > numbers + 1 ? rest[1] : "";
                const auto headers = verb == "HPUB" ? std::stoul(rest[rest.size() - 2]) : 0;
                if (!answer(client, rest[0], reply, input_.substr(end + 2, headers))) return false;
            } else if (verb == "PING") {
                say(client, "PONG\r\n");
            } else if (verb == "SUB") {
                std::string subject, number;
                words >> subject >> number;
                inboxes_[subject.substr(0, subject.find('*'))] = number;
            }
            input_.erase(0, whole);
        }
        return true;
    }
    /// False: the connection is cut in place of an answer.
    bool answer(int client, const std::string& subject, const std::string& reply, const std::string& headers) {
        std::string text = R"({"stream":"EVENTS","seq":1})";
        if (subject.starts_with("$JS.API.STREAM.INFO")) {
            {
                const std::scoped_lock lock(mutex_);
                questions_.push_back(std::chrono::steady_clock::now());
            }
            if (silent_questions > 0) {
                --silent_questions;
                return true;
            }
            text = R"({"config":{"name":"EVENTS","subjects":["events"],"retention":"limits","max_consumers":-1,)"
                   R"("max_msgs":-1,"max_bytes":-1,"discard":"old","max_age":0,"storage":"file","num_replicas":)" +
                   std::to_string(replicas) + R"(,"duplicate_window":600000000000,"persist_mode":")" +
                   std::string(persist_mode.load()) + R"(","no_ack":)" + (no_ack ? "true" : "false") +
                   R"(,"allow_atomic":)" + (allows_atomic ? "true" : "false") +
                   R"(},"created":"2026-01-01T00:00:00Z",)"
                   R"("state":{"messages":0,"bytes":0,"first_seq":0,"last_seq":0,"consumer_count":0}})";
            if (knows_no_stream_info) text = R"({"config":[7)";
        } else if (subject == "events") {
            ++published_;
            text = stream_.take(headers);
            if (text.find("\"count\"") != text.npos && answers_lost > 0) {
                --answers_lost;
                return false;
            }
        }
        std::string said;
        for (const auto& [prefix, number] : inboxes_)
            if (reply.starts_with(prefix))
                said = "MSG " + reply + ' ' + number + ' ' + std::to_string(text.size()) + "\r\n" + text + "\r\n";
        if (subject == "events" && !acknowledges) return true;
        if (subject == "events" && late) said.swap(late_answer_);
        say(client, said);
        return true;
    }

    tracker::descriptor listener_;
    int port_ = 0;
    std::atomic<std::size_t> connections_{0}, published_{0};
    std::atomic<bool> cuts_{false};
    std::map<std::string, std::string> inboxes_;  ///< by what their subjects begin with
    std::string input_, late_answer_;
    fake_stream stream_;
    mutable std::mutex mutex_;
    std::vector<std::chrono::steady_clock::time_point> questions_;
    std::jthread thread_;
};

}  // namespace brokers
