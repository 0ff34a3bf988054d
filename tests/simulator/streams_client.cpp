#include "tests/simulator/streams_client.hpp"

#include <utility>

#include "tests/simulator/world.hpp"

namespace simulator {
namespace {

using std::chrono::microseconds;

constexpr std::string_view hello = "Hello, QCon!\n";
constexpr std::uint32_t refused_stream = 7;  // RFC 9113 section 7: it has not begun

}  // namespace

streams_client::streams_client(world& in, nanoseconds one_way, std::uint64_t number)
    : guest(script::streams), world_(in), one_way_(one_way), number_(number) {
    write_script(number);
}

void streams_client::add(std::string_view method, std::string_view path, std::string wanted, int event) {
    requests_.push_back(
        {.bytes = std::string(method) + ' ' + std::string(path), .event = event, .wanted = std::move(wanted)});
}

void streams_client::write_script(std::uint64_t number) {
    for (std::uint64_t nth = 0; nth < 2 + number % 7; ++nth) {
        switch ((number / 7 + nth) % 5) {
            case 0:
            case 1: add("GET", "/", std::string(hello)); break;
            case 2: add("POST", "/events", {}, world_.new_event(world_.plain_data(number % 200))); break;
            case 3: add("GET", "/slow?ms=" + std::to_string(number % 150), {}); break;
            default: add("GET", "/big?bytes=20000", std::string(20'000, 'x')); break;
        }
    }
}

void streams_client::begin() { way_ = world_.connect(*this, 8080, one_way_); }

/// The first at once; each of the others after a while.
void streams_client::established() {
    is_open_ = true;
    connections_ = 1;
    const auto at_once = 1 + number_ % 3;
    ask_some(at_once);
    for (std::size_t nth = at_once; nth < requests_.size(); ++nth)
        world_.later(*this, microseconds((number_ % 400) * 40) * (nth - at_once + 1), [this] { ask_some(1); });
}

void streams_client::ask_some(std::size_t count) {
    for (; count > 0 && next_ < requests_.size() && is_open_ && goaways_ == 0; --count) ask(requests_[next_++]);
}

void streams_client::ask(request& next) {
    const auto space = next.bytes.find(' ');
    http2_tests::peer::fields more;
    std::optional<std::string> body;
    if (next.event >= 0) {
        more.emplace_back("idempotency-key", world_.event_id(next.event));
        body = world_.event_data(next.event);
        world_.event_sent(next.event);
    }
    const auto id = peer_.ask(next.bytes.substr(0, space), next.bytes.substr(space + 1), more, std::move(body));
    streams_[id] = static_cast<std::size_t>(&next - requests_.data());
    next.begins = sent_ + 1;  // behind the preface, which is no request
    next.connection = connections_;
    next.sent_at = world_.now();
    flush();
    next.ends = sent_;
}

void streams_client::flush() {
    if (auto bytes = peer_.take(); !bytes.empty() && way_ && is_open_) {
        sent_ += bytes.size();
        way_->send(std::move(bytes));
    }
}

void streams_client::received(std::string_view bytes) {
    if (!peer_.receive(bytes)) world_.broken("garbled", "what came is no HTTP/2", describe());
    look();
    flush();
}

void streams_client::look() {
    look_at_goaways();
    for (auto& [id, nth] : streams_) {
        auto& request = requests_[nth];
        const auto found = peer_.answers.find(id);
        if (found == peer_.answers.end() || request.status != 0 || request.garbled) continue;
        const auto& answer = found->second;
        if (answer.begun && id > last_) world_.broken("goaway", "answered, and it was said that it is not", describe());
        if (request.stopped) continue;
        if (answer.reset && !answer.ended) {
            (*answer.reset == refused_stream ? request.stopped : request.garbled) = true;
        } else if (answer.ended) {
            request.status = answer.status;
            if (answer.status == 200 && !request.wanted.empty() && answer.body != request.wanted)
                world_.broken("garbled", "another body than that of the request", describe());
            if (request.event >= 0 && answer.status == 201) world_.event_accepted(request.event);
        }
    }
}

/// What is above the last stream has not begun; and what was once promised stays so.
void streams_client::look_at_goaways() {
    for (; goaways_ < peer_.goaways.size(); ++goaways_) {
        const auto& said = peer_.goaways[goaways_];
        if (said.last > last_) world_.broken("goaway", "a later one has a larger stream", describe());
        last_ = said.last;
        for (auto& [id, nth] : streams_) {
            auto& request = requests_[nth];
            if (request.status != 0) continue;
            if (id > last_) request.stopped = true;
            if (said.code != 0) request.garbled = true;  // a fault, and it looks like it
        }
    }
}

void streams_client::refused() {
    if (!requests_.empty()) requests_.front().refused = true;
}

}  // namespace simulator
