#include "server/websocket/open_socket.hpp"

#include <utility>

namespace server::websocket {

using lifecycle::clock;

void open_socket::job::returned() noexcept {
    auto& socket = whose;
    socket.returned_from_job();
    socket.wire_.proceed();  // the last thing
}

void station::end_of_activity::operator()(machine* kept) const noexcept {
    delete static_cast<open_socket::activity*>(kept);
}

open_socket::open_socket(wire on, station& of) noexcept : wire_(on), on_(of) {}

open_socket::~open_socket() {
    if (!place_) return;
    place_->it = nullptr;
    place_->ended = true;
}

machine& open_socket::awake() {
    seen_.lasts = false;
    if (at_work_) return *at_work_;
    if (on_.spare && on_.spare->fits(on_.limits(), window_ != 0 ? &on_.zlib : nullptr)) {
        at_work_.reset(static_cast<activity*>(on_.spare.release()));
        at_work_->resume(seen_.since, resting_);
    } else {
        at_work_ = activity::make(on_, window_ != 0, seen_.since, resting_);
    }
    return *at_work_;
}

sent open_socket::send(opcode kind, std::string_view payload) {
    auto how = sent::closed;
    awake();
    if (window_ != 0 && payload.size() >= on_.route.how.compress_from) {
        on_.squeezed.clear();
        on_.zlib.deflate(payload, window_, on_.squeezed);
        how = on_.squeezed.size() < payload.size() ? at_work_->send_compressed(kind, on_.squeezed)
                                                   : at_work_->send(kind, payload);
    } else {
        how = at_work_->send(kind, payload);
    }
    wire_.proceed();  // in a handler of its own that has not waited: it is seen to after that
    return how;
}

/// A socket that rests does not wake up for what its kernel takes at once.
bool open_socket::send_frame(const shared_frame& frame) {
    std::size_t written = 0;
    if (!at_work_ && wire_.direct()) {
        written = wire_.write(*frame).count;
        if (written == frame->size()) {
            on_.messages_out.add();
            return true;
        }
    }
    const bool queued = awake().send(frame, written) == sent::queued;
    wire_.proceed();
    return queued;
}

void open_socket::close(std::uint16_t code, std::string_view reason) {
    awake().close_with(code, reason);
    wire_.proceed();
}

lifecycle::awaitable<bool> open_socket::room(lifecycle::context of) {
    while (awake().now_in() == machine::state::open && at_work_->backlog() > on_.route.how.max_backlog / 2) {
        if (of.done()) co_return false;
        at_work_->room = std::make_unique<lifecycle::cancel_scope>(of);
        auto waiting = lifecycle::sleep_until(at_work_->room->get(), clock::time_point::max());
        co_await std::move(waiting);
        at_work_->room = nullptr;
    }
    co_return awake().now_in() == machine::state::open;
}

remote open_socket::from_anywhere() {
    if (!place_) place_ = std::make_shared<remote::place>(on_, this);
    return remote(place_);
}

std::string_view open_socket::subprotocol() const noexcept {
    return protocol_ < on_.route.how.protocols.size() ? std::string_view(on_.route.how.protocols[protocol_])
                                                      : std::string_view();
}

}  // namespace server::websocket
