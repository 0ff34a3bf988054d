#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <utility>

#include "lifecycle/task_group.hpp"
#include "tracker/account.hpp"
#include "tracker/event.hpp"

namespace tracker {

/// A coroutine in `queue::push`: its event has no room yet, or has no answer yet. Lives as long as its
/// coroutine, its place in the queue, or a wake-up on its way.
class waiter : public boost::intrusive_ref_counter<waiter, boost::thread_safe_counter>,
               public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>> {
public:
    waiter(const lifecycle::executor& executor, event event, lifecycle::clock::time_point until)
        : offered(std::move(event)), work(executor), alarm(executor, until) {}

    event offered;
    verdict answer = verdict::deadline;  ///< set by whoever answers; guarded by the queue
    bool queued = false;                 ///< its event is in the queue; guarded by the queue
    /// Keeps the loop running while a wake-up is on its way to it.
    boost::asio::executor_work_guard<lifecycle::executor> work;
    /// Expires at the context's deadline; cancelled, on the loop, to wake. Only on the loop's thread.
    lifecycle::loop_timer alarm;
};
using waiter_ptr = boost::intrusive_ptr<waiter>;

}  // namespace tracker
