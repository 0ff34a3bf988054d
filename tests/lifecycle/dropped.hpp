#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "lifecycle/task_group.hpp"

namespace fakes {

/// What a coroutine waits for that never ends, but is dropped a turn later, as an operation of Asio's is that finds no
/// memory on its way: then Asio destroys the coroutine. To be awaited at once.
inline auto dropped(lifecycle::executor on) {
    auto begin = [on]<class Handler>(Handler handler) {
        boost::asio::post(on, [held = std::move(handler)] { static_cast<void>(held); });
    };
    return boost::asio::async_initiate<const boost::asio::deferred_t, void()>(std::move(begin), boost::asio::deferred);
}

}  // namespace fakes
