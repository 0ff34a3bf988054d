#include "tests/simulator/kernel.hpp"

#include <cxxabi.h>
#include <link.h>
#include <sys/single_threaded.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/simulator/process.hpp"
#include "tests/simulator/raw.hpp"

// Saves what a function may not change (System V ABI, x86-64, 3.2.1) on the stack of who calls, and goes on on another.
extern "C" void simulator_switch(void** from, void* to);
asm(R"(
    .text
    .globl simulator_switch
    .type simulator_switch, @function
simulator_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size simulator_switch, . - simulator_switch
)");

namespace simulator {
namespace {

constexpr std::size_t stack_size = 256 * 1024;

kernel* the_machine = nullptr;

/// The thread_local variables of the program, where the real thread has them, and what they begin with. They are those
/// of the fiber that has run last: the world has none of its own, and often the same one is next.
struct variables {
    std::byte* place = nullptr;
    std::size_t size = 0;
    std::vector<std::byte> fresh;
    fiber* whose = nullptr;

    void be_of(fiber& next) {
        if (whose == &next) return;
        if (whose != nullptr) std::memcpy(whose->variables.data(), place, size);
        std::memcpy(place, next.variables.data(), size);
        whose = &next;
    }
    void be_of_nobody() {
        std::memcpy(place, fresh.data(), size);
        whose = nullptr;
    }
};

variables& thread_variables() {
    static auto found = [] {
        variables all;
        ::dl_iterate_phdr(
            [](dl_phdr_info* info, std::size_t, void* into) {
                auto& made = *static_cast<variables*>(into);
                for (int nth = 0; nth < info->dlpi_phnum; ++nth) {
                    const auto& header = info->dlpi_phdr[nth];
                    if (header.p_type != PT_TLS) continue;
                    made.place = static_cast<std::byte*>(info->dlpi_tls_data);
                    made.size = header.p_memsz;
                    made.fresh.resize(made.size);
                    std::memcpy(made.fresh.data(), reinterpret_cast<void*>(info->dlpi_addr + header.p_vaddr),
                                header.p_filesz);
                }
                return 1;  // the program itself comes first, and is all there is to look at
            },
            &all);
        return all;
    }();
    return found;
}

std::vector<std::byte*>& free_stacks() {
    static std::vector<std::byte*> all;
    return all;
}

std::byte* lend_stack() {
    auto& free = free_stacks();
    if (free.empty()) return static_cast<std::byte*>(raw::map(stack_size));
    auto* const lent = free.back();
    free.pop_back();
    return lent;
}

}  // namespace

kernel* kernel::current() noexcept { return the_machine; }

kernel::kernel(std::uint64_t seed) : chance_(seed) {
    assert(the_machine == nullptr);
    __libc_single_threaded = 0;  // or the C++ library leaves out what only other threads wait for
    thread_variables().be_of_nobody();
    fibers_.reserve(64);
    the_machine = this;
}

kernel::~kernel() {
    thread_variables().be_of_nobody();
    for (auto& left : fibers_)
        if (left->stack != nullptr) free_stacks().push_back(left->stack);
    the_machine = nullptr;
}

void kernel::at(nanoseconds when, std::function<void()> what) {
    add({.when = std::max(when, now_), .number = ++event_number_, .what = std::move(what)});
}

void kernel::add(event next) {
    events_.push_back(std::move(next));
    std::push_heap(events_.begin(), events_.end());
}

void kernel::run_events() {
    while (!events_.empty() && events_.front().when <= now_) {
        std::pop_heap(events_.begin(), events_.end());
        auto next = std::move(events_.back());
        events_.pop_back();
        if (next.sleeper != nullptr)
            wake_up(*next.sleeper, next.wait);
        else
            next.what();
    }
}

bool kernel::run(const std::function<bool()>& done, nanoseconds latest) {
    for (;;) {
        run_events();
        if (done()) return true;
        if (now_ >= latest) return false;
        if (auto* const next = pick()) {
            resume(*next);
            continue;
        }
        if (events_.empty()) return false;
        now_ = std::max(now_, events_.front().when);
    }
}

/// Any of those that can go on: each order may be that of a real machine. One of a frozen process waits.
fiber* kernel::pick() {
    for (auto left = ready_.size(); left > 0; --left) {
        const auto nth = chance_.below(left);
        auto* const found = ready_[nth];
        if (found->owner->frozen) {
            std::swap(ready_[nth], ready_[left - 1]);
            continue;
        }
        ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(nth));
        return found;
    }
    return nullptr;
}

fiber& kernel::start(process& owner, std::string name, std::function<void*()> body) {
    auto made = std::make_unique<fiber>();
    made->owner = &owner;
    made->thread = ++last_thread_;
    made->name = std::move(name);
    made->body = std::move(body);
    made->variables = thread_variables().fresh;
    made->stack = lend_stack();
    // As a call of `enter` leaves it: its address where simulator_switch returns to, a stack that is aligned after
    // that.
    auto* const top = reinterpret_cast<void**>(made->stack + stack_size - 64);
    top[0] = reinterpret_cast<void*>(&kernel::enter);
    top[1] = nullptr;
    made->stack_pointer = top - 6;
    std::memset(made->stack_pointer, 0, 6 * sizeof(void*));
    ready_.push_back(made.get());
    fibers_.push_back(std::move(made));
    return *fibers_.back();
}

void kernel::enter() {
    auto& self = *the_machine->running_;
    self.result = self.body();
    ++self.calls;  // what comes now is the kernel's
    self.now = fiber::condition::over;
    the_machine->wake(&self);
    the_machine->leave();
    std::abort();
}

void kernel::resume(fiber& next) {
    running_ = &next;
    ++switches;
    thread_variables().be_of(next);
    auto* const exceptions = abi::__cxa_get_globals();
    std::memcpy(static_cast<void*>(exceptions), next.exceptions, sizeof next.exceptions);
    errno = next.error;
    simulator_switch(&outside_, next.stack_pointer);
    if (running_ != nullptr && running_->now == fiber::condition::over && running_->stack != nullptr)
        free_stacks().push_back(std::exchange(running_->stack, nullptr));
    running_ = nullptr;
}

void kernel::leave() {
    auto& self = *running_;
    self.error = errno;
    std::memcpy(self.exceptions, static_cast<const void*>(abi::__cxa_get_globals()), sizeof self.exceptions);
    simulator_switch(&self.stack_pointer, outside_);
}

void kernel::make_ready(fiber& which) {
    std::erase(waiting_, &which);
    which.now = fiber::condition::ready;
    which.waits_for = nullptr;
    which.waits_for_any.clear();
    ready_.push_back(&which);
}

void kernel::yield() {
    if (running_ == nullptr) return;
    ready_.push_back(running_);
    leave();
}

void kernel::call() {
    if (running_ != nullptr) ++running_->made;
    now_ += nanoseconds(200 + chance_.below(1'000));
    if (chance_.one_in(preempts)) yield();
}

bool kernel::suspend(nanoseconds until) {
    auto& self = *running_;
    self.now = fiber::condition::waiting;
    self.timed_out = false;
    waiting_.push_back(&self);
    ++self.wait;
    if (until != nanoseconds::max())
        add({.when = std::max(until, now_), .number = ++event_number_, .sleeper = &self, .wait = self.wait});
    leave();
    return !self.timed_out;
}

void kernel::wake_up(fiber& sleeper, std::uint64_t wait) {
    if (sleeper.now != fiber::condition::waiting || sleeper.wait != wait) return;
    sleeper.timed_out = true;
    make_ready(sleeper);
}

bool kernel::wait(const void* address, nanoseconds until) {
    running_->waits_for = address;
    return suspend(until);
}

bool kernel::wait_any(std::vector<const void*> addresses, nanoseconds until) {
    running_->waits_for_any = std::move(addresses);
    return suspend(until);
}

void kernel::wake(const void* address, bool all) {
    for (auto* const each : waiting_)
        if (each->waits_by(address)) woken_.push_back(each);
    if (woken_.empty()) return;
    std::ranges::sort(woken_, {}, &fiber::thread);  // by age, not by the order in which they wait
    if (all)
        for (auto* const each : woken_) make_ready(*each);
    else
        make_ready(*woken_[chance_.below(woken_.size())]);
    woken_.clear();
}

void kernel::forget(process& dead) {
    for (auto* const some : {&ready_, &waiting_})
        std::erase_if(*some, [&](const auto* each) { return each->owner == &dead; });
    for (const auto& each : fibers_)
        if (each->owner == &dead) {
            if (each->stack != nullptr && each.get() != running_)
                free_stacks().push_back(std::exchange(each->stack, nullptr));
            each->now = fiber::condition::over;
            ++each->wait;
        }
    if (running_ != nullptr && running_->owner == &dead) leave();
}

std::vector<fiber*> kernel::living(const process& of) const {
    std::vector<fiber*> all;
    for (const auto& each : fibers_)
        if (each->owner == &of && each->now != fiber::condition::over) all.push_back(each.get());
    return all;
}

bool kernel::is_over(const void* id) const noexcept {
    return static_cast<const fiber*>(id)->now == fiber::condition::over;
}

void* kernel::result_of(const void* id) noexcept { return static_cast<const fiber*>(id)->result; }

}  // namespace simulator
