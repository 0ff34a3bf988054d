#include "tests/simulator/client.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "tests/simulator/world.hpp"

namespace simulator {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::string_view hello = "Hello, QCon!\n";

std::string get(std::string_view path, std::string_view fields = {}) {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

std::string post(std::string_view path, std::string_view body, std::string_view fields = {}) {
    return "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

std::size_t number_after(std::string_view head, std::string_view name, std::size_t otherwise) {
    const auto at = head.find(name);
    if (at == head.npos) return otherwise;
    std::size_t number = otherwise;
    std::from_chars(head.data() + at + name.size(), head.data() + head.size(), number);
    return number;
}

}  // namespace

client::client(world& in, script what, nanoseconds one_way, std::uint64_t number)
    : guest(what), world_(in), one_way_(one_way) {
    write_script(number);
}

void client::add(std::string bytes, int event, std::string wanted) {
    requests_.push_back({.bytes = std::move(bytes), .event = event, .wanted = std::move(wanted)});
}

void client::add_event(std::string data) {
    const int event = world_.new_event(data);
    add(post("/events", data, "Idempotency-Key: " + world_.event_id(event) + "\r\n"), event);
}

void client::write_script(std::uint64_t number) {
    const auto some = 1 + number % 5;
    think_ = microseconds(number % 7 == 0 ? number * 50 : number % 300);
    switch (what()) {
        case script::get:
            for (std::uint64_t nth = 0; nth < some; ++nth) add(get("/"), -1, std::string(hello));
            break;
        case script::events:
            for (std::uint64_t nth = 0; nth < some + 2; ++nth) add_event(world_.plain_data(number % 200));
            break;
        case script::pipeline:
            pipelined_ = true;
            for (std::uint64_t nth = 0; nth < some; ++nth)
                nth % 2 == 0 ? add(get("/"), -1, std::string(hello)) : add_event(world_.plain_data(number % 50));
            break;
        case script::slow: add(get("/slow?ms=" + std::to_string(number % 400))); break;
        case script::trickle:
            piece_ = 1 + number % 40;
            pause_ = microseconds(number * 10);
            add_event(world_.plain_data(number % 100));
            break;
        case script::vanish:
            patient_ = false;
            number % 3 == 0 ? add(get("/slow?ms=300")) : add_event(world_.plain_data(number % 300));
            vanish_at_ = 1 + number % requests_.back().bytes.size();
            break;
        case script::idle:
            think_ = milliseconds(number % 200);
            add(get("/"), -1, std::string(hello));
            add(get("/"), -1, std::string(hello));
            break;
        case script::big:
            add(get("/big?bytes=" + std::to_string(number * 1'000)), -1, std::string(number * 1'000, 'x'));
            pause_ = microseconds(number * 20);
            break;
        case script::upload: {
            const std::string body((number % 16 == 0 ? 1'200 : number % 100) * 1'000, 'y');
            piece_ = 16 * 1'024;
            pause_ = microseconds(number);
            add(post("/echo", body), -1, body);
            break;
        }
        case script::ticks:
            patient_ = false;  // it never ends by itself
            add(get("/ticks"));
            break;
        case script::forger:
            for (std::uint64_t nth = 0; nth < some; ++nth) add_event(world_.forged_data(number));
            break;
        case script::fresh:
            each_fresh_ = true;
            for (std::uint64_t nth = 0; nth < 2 * some; ++nth)
                add(get("/", "Connection: close\r\n"), -1, std::string(hello));
            break;
        case script::shutdown:
            port_ = 8001;
            each_fresh_ = true;
            think_ = milliseconds(number);
            patient_ = false;  // that port drains nobody
            add("POST /debug/shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            add("DELETE /debug/shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n");
            break;
        case script::large: add_event(world_.large_data(number)); break;
        case script::prober: add(get("/livez")); break;
        case script::withdrawer:
            port_ = 8001;
            think_ = microseconds(number * 30);
            patient_ = false;
            add("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
            add("POST /debug/shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            add("DELETE /debug/shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n");
            break;
        default: break;  // of another protocol
    }
}

void client::begin() { connect(); }

void client::connect() {
    if (way_) way_->finish();
    if (way_) way_->leave();
    in_.clear();
    sent_ = 0;
    is_open_ = false;
    ++connections_;
    way_ = world_.connect(*this, port_, one_way_);
}

void client::established() {
    is_open_ = true;
    if (what() == script::idle) return world_.later(*this, think_, [this] { send_next(); });
    if (what() == script::big) {
        way_->reads(false);
        for (int nth = 1; nth < 40; ++nth)
            world_.later(*this, pause_ * nth, [this] {
                if (!way_) return;
                way_->reads(true);
                way_->reads(false);
            });
        world_.later(*this, pause_ * 40, [this] {
            if (way_) way_->reads(true);
        });
    }
    send_next();
    while (pipelined_ && next_ < requests_.size()) send_next();
}

void client::send_next() {
    if (next_ >= requests_.size() || gone_ || !is_open_ || parts_) return;
    auto& request = requests_[next_++];
    request.begins = sent_;
    sent_ += request.bytes.size();
    request.ends = sent_;
    request.connection = connections_;
    request.sent_at = world_.now();
    if (request.event >= 0) world_.event_sent(request.event);
    if (vanish_at_ > 0) {
        way_->send(request.bytes.substr(0, vanish_at_));
        gone_ = true;
        return world_.later(*this, think_, [this] {
            if (!way_) return;
            sent_ % 2 == 0 ? way_->reset() : way_->finish();
        });
    }
    if (piece_ == 0 || request.bytes.size() <= piece_) return way_->send(request.bytes);
    send_pieces(request.bytes, 0);
}

void client::send_pieces(const std::string& bytes, std::size_t from) {
    if (!is_open_ || parts_) return;
    way_->send(bytes.substr(from, piece_));
    from += piece_;
    if (from < bytes.size()) world_.later(*this, pause_, [this, &bytes, from] { send_pieces(bytes, from); });
}

client::request* client::waiting() {
    const auto found = std::ranges::find_if(requests_, [this](const auto& each) {
        return each.connection == connections_ && each.status == 0 && !each.stopped;
    });
    return found == requests_.end() ? nullptr : &*found;
}

void client::received(std::string_view bytes) {
    in_ += bytes;
    while (!in_.empty() && parse()) {}
}

/// Where the body ends that begins there; npos: it has not come.
std::size_t client::body_end(std::size_t body, std::string& into, bool& broken) const {
    const auto head = std::string_view(in_).substr(0, body);
    if (head.find("Transfer-Encoding: chunked") == head.npos) {
        const auto length = number_after(head, "Content-Length: ", 0);
        if (in_.size() < body + length) return in_.npos;
        into = in_.substr(body, length);
        return body + length;
    }
    for (auto at = body;;) {
        const auto line = in_.find("\r\n", at);
        if (line == in_.npos) return in_.npos;
        std::size_t size = 0;
        const auto [end, error] = std::from_chars(in_.data() + at, in_.data() + line, size, 16);
        if (error != std::errc()) return broken = true, in_.size();
        if (in_.size() < line + 2 + size + 2) return in_.npos;
        into += in_.substr(line + 2, size);
        at = line + 2 + size + 2;
        if (size == 0) return at;
    }
}

/// One answer. False: it is not whole.
bool client::parse() {
    const auto end = in_.find("\r\n\r\n");
    if (end == in_.npos) return false;
    if (!in_.starts_with("HTTP/1.1 "))
        return world_.broken("garbled", "an answer begins as none does", in_.substr(0, 60)), false;
    int status = 0;
    std::from_chars(in_.data() + 9, in_.data() + 12, status);
    if (status < 200) return in_.erase(0, end + 4), true;
    std::string body;
    bool broken = false;
    const auto behind = body_end(end + 4, body, broken);
    if (broken) {
        if (auto* const request = waiting()) request->garbled = true;  // it has been cut, and looks like it
        in_.clear();
        parts_ = true;
        return false;
    }
    if (behind == in_.npos) return false;
    const bool closes = in_.substr(0, end + 2).find("Connection: close\r\n") != in_.npos;
    in_.erase(0, behind);
    answered(status, std::move(body), closes);
    return true;
}

void client::answered(int status, std::string body, bool closes) {
    auto* const request = waiting();
    if (request == nullptr) return world_.broken("answers", "an answer that nobody has asked for", describe());
    request->status = status;
    if (status == 200 && !request->wanted.empty() && body != request->wanted)
        world_.broken("garbled", "another body than that of the request", describe());
    if (request->event >= 0 && status == 201) world_.event_accepted(request->event);
    if (closes) {
        parts_ = true;
        way_->finish();
        for (auto& each : requests_)
            if (each.connection == connections_ && each.status == 0) each.stopped = true;
    }
    if (pipelined_ || next_ >= requests_.size()) return;
    world_.later(*this, think_, [this] {
        if (!parts_ && is_open_ && !each_fresh_) return send_next();
        parts_ = false;
        connect();
    });
}

void client::refused() {
    if (next_ < requests_.size()) requests_[next_].refused = true;
}

void client::abandon() {
    guest::abandon();
    gone_ = true;
}

nanoseconds client::silence() const {
    for (const auto& each : requests_)
        if (each.connection >= 0 && each.status == 0 && !each.reset && !each.finished && !each.stopped && !each.garbled)
            return world_.now() - each.sent_at;
    return nanoseconds(0);
}

}  // namespace simulator
