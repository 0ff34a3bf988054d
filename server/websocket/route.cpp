#include "server/websocket/route.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/post.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/websocket/handshake.hpp"
#include "server/websocket/live.hpp"

namespace server::websocket {

namespace asio = boost::asio;

namespace {

/// The coroutine of a handler as the loop runs it.
template <class Argument, class Find>
handler as_handler(const callback<Argument>& does, const Find& find) {
    if (!does || does.as_plain() != nullptr) return {};
    return handler([&does, find](lifecycle::context context, const request& asked) -> lifecycle::awaitable<response> {
        auto& it = *context.find<about>()->it;
        auto calling = does.as_coroutine()(context, it, find(it, asked));
        co_await std::move(calling);
        co_return response();
    });
}

template <class Argument>
bool is_coroutine(const callback<Argument>& given) {
    return given && given.as_plain() == nullptr;
}

server::route named(const std::string& name, handler handle = {}) {
    server::route made;
    made.name = name;
    made.handle = std::move(handle);
    return made;
}

}  // namespace

// ── what sockets share ──────────────────────────────────────────────────────────────────────────

station::station(const hub& of, host& on, asio::io_context& its_context) : route(of), loop(on), context(its_context) {
    shown.to = &of.shown;
}

const machine_limits& station::limits() {
    const auto& now = *loop.limits;
    const auto fits = [&](const machine_limits& machine_limits) {
        return machine_limits.reading.max_message == now.max_websocket_message &&
               machine_limits.ping == now.websocket_ping && machine_limits.write_timeout == now.write_timeout;
    };
    if (!limits_so_far.empty() && fits(*limits_so_far.back())) return *limits_so_far.back();
    limits_so_far.push_back(
        std::make_unique<machine_limits>(machine_limits{.reading = {.max_message = now.max_websocket_message},
                                                        .ping = now.websocket_ping,
                                                        .write_timeout = now.write_timeout,
                                                        .max_backlog = route.how.max_backlog,
                                                        .overflow = route.how.overflow,
                                                        .copies = route.waits()}));
    return *limits_so_far.back();
}

hub::hub(std::string of, callbacks calls, route_options options)
    : name(std::move(of)),
      does(std::move(calls)),
      how(std::move(options)),
      shown(named(name)),
      on_open(named(name, as_handler(
                              does.on_open, [](open_socket&, const request& asked) -> auto& { return asked; }))),
      on_message(named(name, as_handler(
                                 does.on_message, [](open_socket & it, const request&) -> auto& {
                                     return it.its_machine().current();
                                 }))),
      on_close(named(
          name, as_handler(
                    does.on_close, [](open_socket & it, const request&) -> auto& { return it.its_machine().end(); }))) {
}

hub::~hub() = default;

bool hub::waits() const noexcept {
    return is_coroutine(does.on_open) || is_coroutine(does.on_message) || is_coroutine(does.on_close);
}

station& hub::at(host& loop, asio::io_context& context) {
    const std::lock_guard lock(guard_);
    for (const auto& station : stations_)
        if (&station->loop == &loop) return *station;
    stations_.push_back(std::make_unique<station>(*this, loop, context));
    return *stations_.back();
}

void hub::on_each_loop(const std::function<void(station&)>& visit) const {
    const std::lock_guard lock(guard_);
    for (const auto& station : stations_) asio::post(station->context, [visit, &on = *station] { visit(on); });
}

hub::totals hub::count() const {
    totals all{.route = label("route", name)};
    const std::lock_guard lock(guard_);
    for (const auto& station : stations_) {
        all.open += station->open_now.get();
        all.opened += station->opened.get();
        all.received += station->messages_in.get();
        all.sent += station->messages_out.get();
        for (std::size_t nth = 0; nth < all.closed.size(); ++nth) all.closed[nth] += station->closed[nth].get();
    }
    return all;
}

void sockets::write_metrics(metrics_text& out, std::span<const sockets> of) {
    constexpr std::array<std::string_view, hub::totals::endings> endings{"none", "whole", "by_us", "cut", "gone"};
    std::vector<hub::totals> all;
    for (const auto& route : of) all.push_back(route.hub_->count());
    const auto family = [&](const char* name, const char* type, const char* help, std::uint64_t hub::totals::*value) {
        out.family(name, type, help);
        for (const auto& count : all) out.sample(count.route, static_cast<double>(count.*value));
    };
    family("websocket_open", "gauge", "WebSockets that are open.", &hub::totals::open);
    family("websocket_opened_total", "counter", "WebSockets that have been opened.", &hub::totals::opened);
    out.family("websocket_closed_total", "counter", "WebSockets that have ended, by how.");
    for (const auto& count : all)
        for (std::size_t nth = 1; nth < endings.size(); ++nth)
            out.sample(fmt::format("{},{}", count.route, label("how", endings[nth])),
                       static_cast<double>(count.closed[nth]));
    family("websocket_messages_received_total", "counter", "Messages of peers.", &hub::totals::received);
    family("websocket_messages_sent_total", "counter", "Messages to peers.", &hub::totals::sent);
}

void hub::broadcast(opcode kind, std::string_view data, std::function<bool(const socket&)> wanted) const {
    on_each_loop([frame = make_frame(kind, data), wanted = std::move(wanted)](station& on) {
        for (auto at = on.open.begin(); at != on.open.end();) {
            auto& socket = static_cast<open_socket&>(*at++);  // it may be no more after this
            if (!wanted || wanted(socket)) socket.send_frame(frame);
        }
    });
}

void sockets::broadcast(opcode kind, std::string_view data, std::function<bool(const socket&)> wanted) const {
    hub_->broadcast(kind, data, std::move(wanted));
}

void open_socket::broadcast(opcode kind, std::string_view data, std::function<bool(const socket&)> wanted) {
    on_.route.broadcast(kind, data, std::move(wanted));
}

// ── a socket from any thread ────────────────────────────────────────────────────────────────────

shared_frame make_frame(opcode kind, std::string_view data) {
    std::string frame;
    frame.reserve(largest_head + data.size());
    append_frame(frame, kind, data);
    return std::make_shared<const std::string>(std::move(frame));
}

std::size_t remote::backlog() const noexcept {
    return where_->on_its_way.load(std::memory_order_relaxed) + where_->backlog.load(std::memory_order_relaxed);
}

bool remote::send(shared_frame frame) const {
    if (where_->ended || backlog() > where_->on.route.how.max_backlog) return false;
    const auto size = frame->size();
    where_->on_its_way.fetch_add(size, std::memory_order_relaxed);
    asio::post(where_->on.context, [where = where_, frame = std::move(frame), size] {
        where->on_its_way.fetch_sub(size, std::memory_order_relaxed);
        if (where->it != nullptr) where->it->send_frame(frame);
    });
    return true;
}

void remote::close(std::uint16_t code, std::string reason) const {
    asio::post(where_->on.context, [where = where_, code, reason = std::move(reason)] {
        if (where->it != nullptr) where->it->close(code, reason);
    });
}

// ── a route ─────────────────────────────────────────────────────────────────────────────────────

sockets route(router& to, std::string_view pattern, callbacks does, route_options how) {
    const auto made = std::make_shared<hub>("GET " + std::string(pattern), std::move(does), std::move(how));
    to.get(pattern,
           plain([made](const request& asked) { return shake_hands(asked, made->how.protocols, made->how.compress); }));
    to.becomes(
        [made](wire on) -> std::unique_ptr<session> {
            return std::make_unique<live>(on, made->at(on.serving(), on.context()));
        },
        [made](host& loop, asio::io_context& its_context) { made->at(loop, its_context); });
    return sockets(made);
}

}  // namespace server::websocket
