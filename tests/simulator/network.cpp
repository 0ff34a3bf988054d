#include "tests/simulator/network.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace simulator {
namespace {

constexpr std::size_t window = 64 * 1024;             // that the client's kernel takes for one who does not read
constexpr std::chrono::milliseconds sent_again{200};  // after a loss

}  // namespace

void way::at_server(std::function<void(way&)> what) {
    auto when = on_.now() + one_way_;
    if (loss_ > 0 && on_.chance().one_in(loss_)) when += sent_again;
    last_to_server_ = std::max(last_to_server_, when);
    on_.at(last_to_server_, [self = shared_from_this(), what = std::move(what)] { what(*self); });
}

void way::at_client(std::function<void(way&)> what) {
    auto when = on_.now() + one_way_;
    if (loss_ > 0 && on_.chance().one_in(loss_)) when += sent_again;
    last_to_client_ = std::max(last_to_client_, when);
    on_.at(last_to_client_, [self = shared_from_this(), what = std::move(what)] { what(*self); });
}

/// There is no socket for it any more.
void way::answer_with_reset() {
    at_client([](way& self) {
        if (self.client != nullptr) self.client->was_reset();
    });
}

void way::send(std::string bytes) {
    at_server([bytes = std::move(bytes)](way& self) {
        if (const auto to = self.server.lock())
            to->arrived(bytes);
        else
            self.answer_with_reset();
    });
}

void way::finish() {
    at_server([](way& self) {
        if (const auto to = self.server.lock()) to->client_finished();
    });
}

void way::reset() {
    client = nullptr;
    at_server([](way& self) {
        if (const auto to = self.server.lock()) to->client_reset();
    });
}

void way::reads(bool on) {
    client_reads_ = on;
    if (on) deliver();
}

void way::to_client(std::string bytes) {
    at_client([bytes = std::move(bytes)](way& self) {
        self.unread_ += bytes;
        self.deliver();
    });
}

/// To a client that reads; what it has taken, or its kernel for it, is acknowledged.
void way::deliver() {
    std::size_t taken = 0;
    if (client_reads_ && client != nullptr) {
        const auto bytes = std::exchange(unread_, {});
        taken = bytes.size();
        if (taken > 0) client->received(bytes);
    }
    if (fin_arrived_ && unread_.empty() && client != nullptr) std::exchange(client, nullptr)->finished();
    at_server([this, taken](way& self) {
        const auto from = self.server.lock();
        if (!from) return;
        const auto waits = unread_.size() > window ? unread_.size() - window : 0;
        if (from->unacknowledged() > waits) from->acknowledged(from->unacknowledged() - waits);
    });
}

void way::finish_to_client(std::uint64_t had) {
    fin_sent = true;
    if (arrived_at_fin == 0) arrived_at_fin = had;
    at_client([](way& self) {
        self.fin_arrived_ = true;
        self.deliver();
    });
}

void way::reset_to_client() {
    reset_sent = true;
    if (!fin_sent) arrived_at_fin = arrived;
    answer_with_reset();
}

short tcp_stream::ready() const {
    int what = 0;
    if (!received_.empty() || finished_ || reset_) what |= POLLIN;
    if (finished_ || reset_) what |= POLLRDHUP;
    if (reset_) what |= POLLERR | POLLHUP;
    if (finished_ && shut_) what |= POLLHUP;
    if (reset_ || shut_ || unacknowledged_ < most_unacknowledged) what |= POLLOUT;
    return static_cast<short>(what);
}

long tcp_stream::receive(void* into, std::size_t size, bool peeks) {
    if (reset_) return fail(ECONNRESET);
    if (received_.empty() && !finished_) {
        looked_ = by_->on_.running();
        look_ = looked_ != nullptr ? looked_->made : 0;
        had_at_look_ = by_->arrived;
        return fail(EAGAIN);
    }
    if (received_.empty()) return 0;
    const auto count = received_.copy(static_cast<char*>(into), size);
    if (!peeks) received_.erase(0, count);
    return static_cast<long>(count);
}

long tcp_stream::send(std::string_view bytes) {
    if (reset_) return fail(ECONNRESET);
    if (shut_) return fail(EPIPE);
    const auto room = most_unacknowledged - std::min(most_unacknowledged, unacknowledged_);
    if (room == 0) return fail(EAGAIN);
    bytes = bytes.substr(0, room);
    unacknowledged_ += bytes.size();
    by_->to_client(std::string(bytes));
    return static_cast<long>(bytes.size());
}

/// What arrives between a look and the FIN that follows as the next call finds a closed connection: that is a gap which
/// HTTP/1.1 has, and all that it may be. With TLS there is a farewell between the two.
void tcp_stream::shut() {
    if (std::exchange(shut_, true) || reset_) return;
    const auto* const by = by_->on_.running();
    const auto calls = by_->is_secured ? 2U : 1U;  // TLS says a farewell between the two
    const bool looked_just_now = by != nullptr && by == looked_ && by->made <= look_ + calls;
    by_->finish_to_client(looked_just_now ? had_at_look_ : by_->arrived);
    changed();
}

/// tcp(7): with bytes that nobody has read a close is a reset.
void tcp_stream::closed() {
    if (reset_) return;
    if (resets_at_close || !received_.empty())
        by_->reset_to_client();
    else
        shut();
    by_->server.reset();
}

void tcp_stream::arrived(std::string_view bytes) {
    if (finished_ || reset_) return;
    received_ += bytes;
    by_->arrived += bytes.size();
    changed();
}

void tcp_stream::client_finished() {
    finished_ = true;
    changed();
}

void tcp_stream::client_reset() {
    reset_ = true;
    received_.clear();
    changed();
}

void tcp_stream::acknowledged(std::size_t bytes) {
    unacknowledged_ -= std::min(bytes, unacknowledged_);
    changed();
}

bool tcp_listener::listen() {
    auto& place = on_.listening[port];
    if (const auto other = place.lock(); other && other->listens && other.get() != this) return false;
    listens = true;
    place = std::static_pointer_cast<tcp_listener>(shared_from_this());
    return true;
}

/// A client in its queue is reset, and one in a handshake finds no listener.
void tcp_listener::closed() {
    listens = false;
    for (const auto& waiting : std::exchange(queue, {})) {
        waiting->resets_at_close = true;
        waiting->closed();
    }
}

std::shared_ptr<way> network::connect(std::shared_ptr<way> made, peer& client, std::uint16_t port) {
    made->client = &client;
    made->at_server([this, port](way& self) {
        const auto found = listening.find(port);
        const auto to = found == listening.end() ? nullptr : found->second.lock();
        if (!to || !to->listens || to->turns_away)
            return self.at_client([](way& refused) {
                if (refused.client != nullptr) refused.client->refused();
            });
        self.at_client([listener = std::weak_ptr(to)](way& back) {
            back.is_established = true;
            back.at_server([listener](way& last) {
                const auto still = listener.lock();
                if (!still || !still->listens) return last.answer_with_reset();
                auto stream = std::make_shared<tcp_stream>(last.shared_from_this());
                last.server = stream;
                still->queue.push_back(std::move(stream));
                still->changed();
            });
            if (back.client != nullptr) back.client->established();
        });
    });
    return made;
}

}  // namespace simulator
