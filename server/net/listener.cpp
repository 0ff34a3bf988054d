#include "server/net/listener.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/logger.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cassert>
#include <cerrno>
#include <exception>
#include <new>
#include <stdexcept>
#include <utility>

#include "server/loop/thread.hpp"

namespace server {

namespace asio = boost::asio;
using asio::ip::tcp;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr int accepts_a_turn = 64;
constexpr milliseconds room_poll{5};   // how often a full server looks whether a client has left
constexpr milliseconds last_looks{1};  // how often one that closes looks for new clients
constexpr milliseconds between_measures{1};
constexpr milliseconds wait_for_place{600};    // then some are let in above the limit: kubelet gives a probe 1 s
constexpr std::size_t places_above = 16;       // ... for probes
constexpr std::uint32_t refused_politely = 8;  // connections of one client above its limit; others only get 503

int open_reserve() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

listener::listener(listening_socket& socket, std::vector<std::unique_ptr<loop>>& loops, client_table& clients)
    : socket_(socket), loops_(loops), clients_(clients), pause_(loops.front()->context()), reserve_(open_reserve()) {
    closed_.reserve(4);  // no memory is asked for at the end
    watched_ = std::make_unique<watched>(loops.front()->context(), socket.descriptor());
}

listener::~listener() {
    assert(!running_ && "its coroutine outlives it");
    if (watched_->is_open()) watched_->release();
    if (reserve_ >= 0) ::close(reserve_);
}

/// A loop whose listener has ended before its time accepts no clients.
struct listener::last_words {
    explicit last_words(listener& of) : whose(of) { whose.running_ = true; }
    last_words(const last_words&) = delete;
    last_words& operator=(const last_words&) = delete;

    listener& whose;
    /// Made while there is memory: it may be for want of that that the listener ends.
    std::exception_ptr why = std::make_exception_ptr(std::runtime_error("its listener has ended"));
    ~last_words() {
        whose.running_ = false;
        if (whose.watched_->is_open()) whose.loops_.front()->here().fail(std::move(why));
    }
};

lifecycle::awaitable<> listener::run() {
    const last_words in_case(*this);
    while (!closing_) {
        auto waiting = watched_->async_wait(watched::wait_read, lifecycle::quietly);
        const auto [error] = co_await std::move(waiting);
        bool full =
            error && error != asio::error::operation_aborted;  // then it is asked again, as when there is no room
        for (int nth = 0; nth < accepts_a_turn && !closing_; ++nth) {
            // accept(2) makes a file and a socket before it looks into the queue: in vain it takes ten times as long as
            // a look.
            if (nth > 0 && !somebody_waits()) break;
            const auto what = accept_quietly();
            full = full || what == result::no_room;
            if (what != result::accepted) break;
        }
        if (!full || closing_) continue;
        pause_.expires_after(room_poll);
        auto pausing = pause_.async_wait(lifecycle::quietly);
        co_await std::move(pausing);
    }
    // Without a coroutine of its own, for which there may be no memory.
    while (still_closing() || somebody_is_untold()) {
        pause_.expires_after(last_looks);
        auto pausing = pause_.async_wait(lifecycle::quietly);
        co_await std::move(pausing);
    }
    let_in_the_last();
}

listener::result listener::accept_quietly() noexcept try { return accept_one(false); } catch (const std::bad_alloc&) {
    return result::no_room;
}

void listener::close_last(milliseconds patience, std::function<void()> closed) {
    asio::post(loops_.front()->context(), [this, patience, closed = std::move(closed)]() mutable {
        if (!watched_->is_open()) return closed();  // handed over before
        closed_.push_back(std::move(closed));
        patience_ = closing_ ? std::min(patience, patience_) : patience;
        closing_ = true;
        if (!running_) return let_in_the_last();  // it could not begin, or has failed
        boost::system::error_code ignored;
        watched_->cancel(ignored);
        pause_.cancel();
    });
}

void listener::hand_over() {
    asio::post(loops_.front()->context(), [this] { handed_over_ = true; });
    close_last(milliseconds(0), [] {});
}

/// False: no client is about to come any more.
bool listener::still_closing() {
    using step = closing_listener::step;
    const auto now = clock::now();
    if (patience_ == milliseconds(0) || socket_.shared() || given_up()) return false;
    if (socket_.is_unix()) socket_.turn_away_newcomers();  // it has no handshakes under way
    if (socket_.is_unix() || !round_trips_.any(now)) return false;
    if (!closing_by_) closing_by_.emplace(round_trips_.slowest(now), patience_, socket_.has_others(), now);
    for (int nth = 0; nth < accepts_a_turn; ++nth) {
        if (accept_one(true) != result::accepted) break;
        somebody_came_ = true;
    }
    switch (closing_by_->next(std::exchange(somebody_came_, false), now)) {
        case step::wait: break;
        case step::turn_away: socket_.turn_away_newcomers(); break;
        case step::turn_away_again: socket_.turn_away_newcomers(1); break;
        case step::over: return false;
    }
    return true;
}

/// The stop has been forced, or its time is over.
bool listener::given_up() const {
    const auto& deadline = loops_.front()->here().resources().deadline();
    return deadline && clock::now() >= deadline();
}

listener::result listener::let_in_all() {
    auto last = result::accepted;
    for (int nth = 0; nth < socket_.backlog() && last == result::accepted; ++nth) last = accept_one(true);
    return last;
}

/// There is no descriptor even for an answer, and a close would reset the clients that wait.
bool listener::somebody_is_untold() {
    const bool has_time = loops_.front()->here().resources().deadline() && !given_up();
    return has_time && !handed_over_ && !socket_.shared() && let_in_all() == result::no_room;
}

void listener::let_in_the_last() {
    assert(watched_->is_open() && "it closes once");
    socket_.leave_others();
    let_in_all();
    watched_->release();
    socket_.close();
    for (const auto& tell : closed_) tell();
}

std::size_t listener::open() const {
    std::size_t all = 0;
    for (const auto& loop : loops_) all += loop->account().open.get();
    return all;
}

bool listener::somebody_waits() const {
    pollfd queue{socket_.descriptor(), POLLIN, 0};
    return ::poll(&queue, 1, 0) > 0;
}

/// At the limit the connection that has been idle longest is closed, if a client really waits for its place. When all
/// are busy new ones wait for a moment; if that brings no place, some are accepted above the limit: one of them may be
/// a probe, and all others are told.
listener::result listener::find_place(rule& without) {
    const auto all = open(), most = loops_.front()->here().resources().serving().limits->max_connections;
    if (all < most) return result::accepted;
    if (!somebody_waits()) return result::empty;
    const auto now = clock::now();
    if (full_since_ == clock::time_point{}) full_since_ = now;
    if (make_room()) return open() < most ? result::accepted : result::no_room;  // else look again in a moment
    if (now - full_since_ < wait_for_place || all >= most + places_above) return result::no_room;
    without = rule::max_connections;
    return result::accepted;
}

/// False: all are busy. On the listener's own loop there is room when it returns.
bool listener::make_room() {
    loop* owner = nullptr;
    for (const auto& loop : loops_) {
        const auto since = loop->account().oldest_idle.get();
        if (since != 0 && (owner == nullptr || since < owner->account().oldest_idle.get())) owner = loop.get();
    }
    if (owner == loops_.front().get() || (owner == nullptr && loops_.front()->here().ends_slow_heads()))
        return loops_.front()->here().make_room();
    if (owner != nullptr) owner->make_room();
    return owner != nullptr;
}

listener::result listener::accept_one(bool in_spite_of_limit) {
    auto without = rule::none;
    if (!in_spite_of_limit)
        if (const auto found = find_place(without); found != result::accepted) {
            if (found == result::empty) full_since_ = {};
            return found;
        }
    // What is free first is for the reserve: one client more is served, or each that waits is told.
    if (reserve_ < 0) reserve_ = open_reserve();
    tcp::endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    auto* const name = socket_.is_unix() ? nullptr : peer.data();
    const int descriptor =
        ::accept4(socket_.descriptor(), name, name == nullptr ? nullptr : &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) {
        if (name != nullptr) measure(descriptor);
        socket_address from;
        if (name != nullptr) {
            peer.resize(size);
            from = {peer.address(), peer.port()};
        }
        const bool dealt = deal(descriptor, from, without);
        return dealt || in_spite_of_limit ? result::accepted : result::no_room;
    }
    switch (errno) {
        case EINTR:
        case ECONNABORTED: return result::accepted;  // that one has gone: go on with the next
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM: {
            const auto found = refuse_with_reserve();
            return found == result::accepted && !in_spite_of_limit ? result::no_room : found;
        }
        default: full_since_ = {}; return result::empty;
    }
}

/// How long the way to the client is: now and then, for it is a system call (tcp(7), TCP_INFO).
void listener::measure(int descriptor) {
    const auto now = clock::now();
    if (now < next_measure_) return;
    next_measure_ = now + between_measures;
    tcp_info its = {};
    socklen_t size = sizeof its;
    if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &its, &size) != 0) return;
    round_trips_.add(std::chrono::microseconds(its.tcpi_rtt), now);
}

/// False: it has too many connections by far, and is refused at once.
bool listener::count(arrival& client, const options& limits) {
    const bool named_later = limits.proxy_protocol;  // by the header in front of its first byte
    if (limits.max_connections_per_client == 0 || named_later || client.peer.is_unix() ||
        is_among(client.peer, limits.trusted_proxies))
        return true;
    auto taken = clients_.take(client.peer.address());
    client.share = std::move(taken.held);
    if (taken.nth <= limits.max_connections_per_client) return true;
    client.without = rule::max_connections_per_client;
    return taken.nth <= limits.max_connections_per_client + refused_politely;
}

/// False: it could not be served, and has been closed.
bool listener::deal(int descriptor, const socket_address& peer, rule without) try {
    auto& here = loops_.front()->here().resources();
    arrival client{.peer = peer, .without = without, .share = {}};
    if (!count(client, *here.serving().limits)) {
        here.account().refused[static_cast<std::size_t>(client.without)].add();
        refuse(descriptor);
        return true;
    }
    // Not in turn: connections last for different times, so what was dealt evenly does not stay even.
    const auto fewest = std::min_element(
        loops_.begin(), loops_.end(), [](const auto& a, const auto& b) { return a->connections() < b->connections(); });
    (*fewest)->adopt(descriptor, std::move(client));
    return true;
} catch (const std::exception& e) {
    loops_.front()->here().resources().log().lost_connection(e.what());
    return false;
}

/// No descriptor is left: the one kept in reserve lets one client in, to be told so. No room: another thread has taken
/// it meanwhile, and clients wait in the queue until one is free.
listener::result listener::refuse_with_reserve() {
    if (!somebody_waits()) return result::empty;  // accept(2) looks for a descriptor first
    if (reserve_ < 0) return result::no_room;
    ::close(std::exchange(reserve_, -1));
    const int descriptor = ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) {
        loops_.front()->here().resources().account().refused[static_cast<std::size_t>(rule::max_descriptors)].add();
        refuse(descriptor);
    }
    reserve_ = open_reserve();
    return descriptor >= 0 ? result::accepted : result::no_room;
}

/// Says 503, or, where clients would not understand it, what a layer says in its place, and closes.
void listener::refuse(int descriptor) {
    constexpr std::string_view unavailable =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: "
        "close\r\n\r\n";
    const auto* const through = loops_.front()->here().resources().layers();
    const auto answer = through == nullptr ? unavailable : through->refusal();
    ::send(descriptor, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::shutdown(descriptor, SHUT_WR);
    // A close(2) with unread bytes is a reset, which would take the answer with it. There is no waiting for more: this
    // path must stay cheap when many are refused.
    char unread[4096];
    for (int reads = 0; reads < 16; ++reads)
        if (::recv(descriptor, unread, sizeof unread, MSG_DONTWAIT) <= 0) break;
    ::close(descriptor);
}

}  // namespace server
