#include "tests/simulator/process.hpp"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <ucontext.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace simulator {

void description::changed() {
    ++version_;
    auto& on = *kernel::current();
    on.wake(this);
    for (const auto& watcher : std::vector(watchers_))
        if (const auto set = watcher.lock()) set->changed();
    std::erase_if(watchers_, [](const auto& watcher) { return watcher.expired(); });
}

long event_counter::read(void* into, std::size_t) {
    if (count_ == 0) return fail(EAGAIN);
    std::memcpy(into, &count_, sizeof count_);
    count_ = 0;
    changed();
    return sizeof count_;
}

long event_counter::write(const void* from, std::size_t) {
    std::uint64_t more = 0;
    std::memcpy(&more, from, sizeof more);
    count_ += more;
    changed();
    return sizeof more;
}

long timer_descriptor::read(void* into, std::size_t) {
    if (expired_ == 0) return fail(EAGAIN);
    std::memcpy(into, &expired_, sizeof expired_);
    expired_ = 0;
    return sizeof expired_;
}

void timer_descriptor::set(nanoseconds when) {
    expired_ = 0;
    const auto number = ++generation_;
    if (when == nanoseconds::max()) return;
    kernel::current()->at(when, [self = weak_from_this(), number] {
        const auto timer = std::static_pointer_cast<timer_descriptor>(self.lock());
        if (!timer || timer->generation_ != number) return;
        timer->expired_ = 1;
        timer->changed();
    });
}

std::uint32_t epoll_set::found(const registration& of) {
    const auto what = of.what.lock();
    if (!what) return 0;
    if ((of.events & EPOLLET) != 0 && of.seen == what->version()) return 0;
    const auto wanted = of.events | EPOLLERR | EPOLLHUP;
    return static_cast<std::uint32_t>(static_cast<unsigned short>(what->ready())) & wanted;
}

short epoll_set::ready() const {
    return std::ranges::any_of(all_, [](const auto& each) { return found(each) != 0; }) ? POLLIN : 0;
}

int epoll_set::control(int operation, int number, const description_ptr& what, std::uint32_t events,
                       std::uint64_t data) {
    const auto place =
        std::ranges::find_if(all_, [&](const auto& each) { return each.number == number && each.what.lock() == what; });
    if (operation == EPOLL_CTL_ADD) {
        if (place != all_.end()) return static_cast<int>(fail(EEXIST));
        all_.push_back({number, what, events, data, 0});
        what->watch(std::static_pointer_cast<epoll_set>(shared_from_this()));
    } else if (place == all_.end()) {
        return static_cast<int>(fail(ENOENT));
    } else if (operation == EPOLL_CTL_MOD) {
        place->events = events;
        place->data = data;
        place->seen = 0;
    } else {
        all_.erase(place);
        return 0;
    }
    if (found(operation == EPOLL_CTL_ADD ? all_.back() : *place) != 0) changed();
    return 0;
}

void epoll_set::forget(const description& gone) {
    std::erase_if(all_, [&](const auto& each) { return each.what.expired() || each.what.lock().get() == &gone; });
}

std::vector<std::pair<std::uint32_t, std::uint64_t>> epoll_set::take(std::size_t most) {
    std::vector<std::pair<std::uint32_t, std::uint64_t>> some;
    if (all_.empty()) return some;
    const auto first = all_.size() == 1 ? 0 : kernel::current()->chance().below(all_.size());
    for (std::size_t nth = 0; nth < all_.size() && some.size() < most; ++nth) {
        auto& each = all_[(first + nth) % all_.size()];
        const auto events = found(each);
        if (events == 0) continue;
        if ((each.events & EPOLLET) != 0) each.seen = each.what.lock()->version();
        some.emplace_back(events, each.data);
    }
    return some;
}

short signal_descriptor::ready() const { return of_.has_signal() ? POLLIN : 0; }

long signal_descriptor::read(void* into, std::size_t) {
    const int number = of_.take_signal();
    if (number == 0) return fail(EAGAIN);
    signalfd_siginfo info = {};
    info.ssi_signo = static_cast<std::uint32_t>(number);
    std::memcpy(into, &info, sizeof info);
    return sizeof info;
}

process::process(kernel& machine, std::string& log) : on(machine) {
    ::sigemptyset(&blocked);
    for (int number = 0; number < 3; ++number) open(std::make_shared<log_descriptor>(log));
}

process::~process() = default;

void process::begin(std::function<int()> program) {
    on.start(*this, "main", [this, program = std::move(program)]() -> void* {
        end(program());
        return nullptr;
    });
}

int process::open(description_ptr what) {
    ++what->references;
    auto free = std::ranges::find(descriptors_, nullptr);
    if (free == descriptors_.end()) free = descriptors_.insert(free, nullptr);
    *free = std::move(what);
    return static_cast<int>(free - descriptors_.begin());
}

description_ptr process::find(int number) const {
    if (number < 0 || static_cast<std::size_t>(number) >= descriptors_.size()) return nullptr;
    return descriptors_[static_cast<std::size_t>(number)];
}

int process::duplicate(int number, int least) {
    const auto what = find(number);
    if (!what) return static_cast<int>(description::fail(EBADF));
    ++what->references;
    auto at = static_cast<std::size_t>(least);
    while (at < descriptors_.size() && descriptors_[at]) ++at;
    if (at >= descriptors_.size()) descriptors_.resize(at + 1);
    descriptors_[at] = what;
    return static_cast<int>(at);
}

void process::release(const description_ptr& what) {
    if (--what->references > 0) return;
    what->closed();
    for (const auto& each : descriptors_)
        if (auto* const set = dynamic_cast<epoll_set*>(each.get())) set->forget(*what);
}

int process::close(int number) {
    auto what = find(number);
    if (!what) return static_cast<int>(description::fail(EBADF));
    descriptors_[static_cast<std::size_t>(number)] = nullptr;
    release(what);
    return 0;
}

void process::send(int signal) {
    if (over) return;
    if (signal == SIGKILL) return end(0, SIGKILL);
    deliver(signal, 0, false);
}

void process::deliver(int signal, int value, bool by_timer) {
    if (::sigismember(&blocked, signal) == 1) {
        if (std::ranges::count(pending_, signal) == 0) pending_.push_back(signal);
        for (const auto& each : signal_descriptors)
            if (const auto open = each.lock()) open->changed();
        return;
    }
    const auto action = actions.find(signal);
    if (action == actions.end() || action->second.sa_handler == SIG_DFL) return end(0, signal);
    if (action->second.sa_handler == SIG_IGN) return;
    const auto handler = action->second;
    // On a thread of its own, which is what a handler may not tell from a signal that has interrupted one.
    on.start(*this, "signal", [this, handler, signal, value, by_timer]() -> void* {
        siginfo_t info = {};
        info.si_signo = signal;
        info.si_code = by_timer ? SI_TIMER : SI_USER;
        info.si_value.sival_int = value;
        ucontext_t interrupted = {};
        interrupted.uc_sigmask = blocked;
        const auto before = blocked;
        for (int each = 1; each < 65; ++each)
            if (::sigismember(&handler.sa_mask, each) == 1) ::sigaddset(&blocked, each);
        ::sigaddset(&blocked, signal);
        if ((handler.sa_flags & SA_SIGINFO) != 0)
            handler.sa_sigaction(signal, &info, &interrupted);
        else
            handler.sa_handler(signal);
        blocked = before;
        for (int each = 1; each < 65; ++each)
            if (::sigismember(&interrupted.uc_sigmask, each) == 1) ::sigaddset(&blocked, each);
        return nullptr;
    });
}

int process::take_signal() {
    if (pending_.empty()) return 0;
    const int first = pending_.front();
    pending_.pop_front();
    return first;
}

void process::end(int exit_code, int by_signal) {
    if (over) return;
    over = true;
    code = exit_code;
    killed_by = by_signal;
    ended_at = on.now();
    for (const auto* each : on.living(*this))
        if (each->name != "main") living_at_end.push_back(each->name);
    for (auto& each : descriptors_)
        if (auto what = std::exchange(each, nullptr)) release(what);
    descriptors_.clear();
    on.forget(*this);
}

void process::freeze(nanoseconds length) {
    if (over || frozen) return;
    frozen = true;
    frozen_in_all += length;
    on.after(length, [this] { frozen = false; });
}

int process::make_timer(int signal, int value) {
    timers_[++last_timer_] = {signal, value};
    return last_timer_;
}

void process::set_timer(int id, nanoseconds when) {
    auto& timer = timers_[id];
    timer.when = when;
    const auto number = ++timer.generation;
    if (when == nanoseconds::max()) return;
    on.at(when, [this, id, number] {
        const auto found = timers_.find(id);
        if (over || found == timers_.end() || found->second.generation != number) return;
        found->second.when = nanoseconds::max();
        deliver(found->second.signal, found->second.value, true);
    });
}

nanoseconds process::timer_left(int id) const {
    const auto found = timers_.find(id);
    if (found == timers_.end() || found->second.when == nanoseconds::max()) return nanoseconds(0);
    return std::max(found->second.when - on.now(), nanoseconds(1));
}

}  // namespace simulator
