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
    kernel::current()->wake(this);
    std::erase_if(watchers_, [](const auto& watcher) { return watcher.first.expired(); });
    for (std::size_t nth = 0; nth < watchers_.size(); ++nth)
        if (const auto set = watchers_[nth].first.lock()) set->touched(watchers_[nth].second);
}

void description::watch(const std::shared_ptr<epoll_set>& by, int number) {
    const auto same = [&](const auto& watcher) { return watcher.first.lock() == by && watcher.second == number; };
    if (std::ranges::none_of(watchers_, same)) watchers_.emplace_back(by, number);
}

void description::unwatch() {
    for (const auto& [watcher, number] : std::exchange(watchers_, {}))
        if (const auto set = watcher.lock()) set->forget(number, *this);
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
    return std::ranges::any_of(lately_,
                               [this](int number) {
                                   const auto place = all_.find(number);
                                   return place != all_.end() && found(place->second) != 0;
                               })
               ? POLLIN
               : 0;
}

bool epoll_set::list(int number, registration& of) {
    if (found(of) == 0) return false;
    if (!std::exchange(of.listed, true)) lately_.push_back(number);
    return true;
}

void epoll_set::touched(int number) {
    const auto place = all_.find(number);
    if (place != all_.end() && list(number, place->second)) changed();
}

int epoll_set::control(int operation, int number, const description_ptr& what, std::uint32_t events,
                       std::uint64_t data) {
    const auto place = all_.find(number);
    const bool there = place != all_.end() && place->second.what.lock() == what;
    if (operation == EPOLL_CTL_ADD ? there : !there)
        return static_cast<int>(fail(operation == EPOLL_CTL_ADD ? EEXIST : ENOENT));
    if (operation == EPOLL_CTL_DEL) return forget(number, *what), 0;
    auto& made = all_[number];
    made = {.what = what, .events = events, .data = data, .seen = 0, .listed = made.listed};
    if (operation == EPOLL_CTL_ADD) what->watch(std::static_pointer_cast<epoll_set>(shared_from_this()), number);
    if (list(number, made)) changed();
    return 0;
}

void epoll_set::forget(int number, const description& gone) {
    const auto place = all_.find(number);
    if (place == all_.end()) return;
    if (const auto what = place->second.what.lock(); what != nullptr && what.get() != &gone) return;
    if (place->second.listed) std::erase(lately_, number);
    all_.erase(place);
}

std::vector<std::pair<std::uint32_t, std::uint64_t>> epoll_set::take(std::size_t most) {
    std::vector<std::pair<std::uint32_t, std::uint64_t>> some;
    if (lately_.empty()) return some;
    const auto first = lately_.size() == 1 ? 0 : kernel::current()->chance().below(lately_.size());
    std::rotate(lately_.begin(), lately_.begin() + static_cast<std::ptrdiff_t>(first), lately_.end());
    std::erase_if(lately_, [&](int number) {
        auto& each = all_.at(number);
        const auto events = found(each);
        if (events == 0) return each.listed = false, true;
        if (some.size() == most) return false;
        if ((each.events & EPOLLET) != 0) each.seen = each.what.lock()->version();
        some.emplace_back(events, each.data);
        return false;
    });
    return some;
}

short signal_descriptor::ready() const { return of_.has_signal(which_) ? POLLIN : 0; }

long signal_descriptor::read(void* into, std::size_t) {
    const int number = of_.take_signal(which_);
    if (number == 0) return fail(EAGAIN);
    signalfd_siginfo info = {};
    info.ssi_signo = static_cast<std::uint32_t>(number);
    std::memcpy(into, &info, sizeof info);
    return sizeof info;
}

short pipe_end::ready() const {
    if (!reads_) return POLLOUT;
    return static_cast<short>((of_->bytes.empty() ? 0 : POLLIN) | (of_->closed ? POLLHUP : 0));
}

long pipe_end::read(void* into, std::size_t size) {
    if (of_->bytes.empty()) return of_->closed ? 0 : fail(EAGAIN);
    const auto count = of_->bytes.copy(static_cast<char*>(into), size);
    of_->bytes.erase(0, count);
    return static_cast<long>(count);
}

long pipe_end::write(const void* from, std::size_t size) {
    of_->bytes.append(static_cast<const char*>(from), size);
    if (const auto reader = of_->reader.lock()) reader->changed();
    return static_cast<long>(size);
}

void pipe_end::closed() {
    if (reads_) return;
    of_->closed = true;
    if (const auto reader = of_->reader.lock()) reader->changed();
}

process::process(kernel& machine, std::string& log) : on(machine) {
    ::sigemptyset(&blocked);
    for (int number = 0; number < 3; ++number) open(std::make_shared<log_descriptor>(log));
    on.processes.push_back(this);
}

process::~process() { std::erase(on.processes, this); }

void process::begin(std::function<int()> program) {
    main_ = &on.start(*this, "main", [this, program = std::move(program)]() -> void* {
        end(program());
        return nullptr;
    });
}

int process::open(description_ptr what) {
    ++what->references;
    if (free_.empty()) return descriptors_.push_back(std::move(what)), static_cast<int>(descriptors_.size()) - 1;
    const int number = free_.extract(free_.begin()).value();
    descriptors_[static_cast<std::size_t>(number)] = std::move(what);
    return number;
}

description_ptr process::find(int number) const {
    if (number < 0 || static_cast<std::size_t>(number) >= descriptors_.size()) return nullptr;
    return descriptors_[static_cast<std::size_t>(number)];
}

int process::duplicate(int number, int least) {
    const auto what = find(number);
    if (!what) return static_cast<int>(description::fail(EBADF));
    ++what->references;
    while (descriptors_.size() <= static_cast<std::size_t>(least)) {
        free_.insert(static_cast<int>(descriptors_.size()));
        descriptors_.emplace_back();
    }
    const auto place = free_.lower_bound(least);
    if (place == free_.end()) return descriptors_.push_back(what), static_cast<int>(descriptors_.size()) - 1;
    const int made = free_.extract(place).value();
    descriptors_[static_cast<std::size_t>(made)] = what;
    return made;
}

void process::release(const description_ptr& what) {
    if (--what->references > 0) return;
    what->closed();
    what->unwatch();
}

int process::close(int number) {
    auto what = find(number);
    if (!what) return static_cast<int>(description::fail(EBADF));
    descriptors_[static_cast<std::size_t>(number)] = nullptr;
    free_.insert(number);
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
    // The threads beside main have it blocked, and main hears nothing while it waits for a disk.
    if (!by_timer && main_ != nullptr && main_->waits_for_disk) return pending_.push_back(signal);
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

int process::take_signal(const sigset_t& of) {
    const auto first = std::ranges::find_if(pending_, [&](int signal) { return ::sigismember(&of, signal) == 1; });
    if (first == pending_.end()) return 0;
    const int signal = *first;
    pending_.erase(first);
    return signal;
}

bool process::has_signal(const sigset_t& of) const noexcept {
    return std::ranges::any_of(pending_, [&](int signal) { return ::sigismember(&of, signal) == 1; });
}

void process::deliver_pending() {
    for (const int signal : std::exchange(pending_, {})) {
        if (::sigismember(&blocked, signal) == 1)
            pending_.push_back(signal);
        else
            deliver(signal, 0, false);
    }
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
    free_.clear();
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
