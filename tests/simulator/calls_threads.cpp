// Threads, and what they wait by. A mutex is its owner's number and how many wait, a semaphore its count; a thread
// waits by address.

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include <climits>
#include <vector>

#include "tests/simulator/calls.hpp"

using namespace simulator;

namespace {

fiber* of(pthread_t thread) { return reinterpret_cast<fiber*>(thread); }

nanoseconds until(clockid_t clock, const timespec& time) {
    const auto when = time_of(time);
    return clock == CLOCK_REALTIME ? when - wall_began : when;
}

void give_up(kernel& on, pthread_mutex_t& mutex) {
    mutex.__data.__owner = 0;
    if (mutex.__data.__nusers > 0) on.wake(&mutex, false);
}

int wait_on(pthread_cond_t* condition, pthread_mutex_t* mutex, nanoseconds limit) {
    const inside on;
    if (!on) return EDEADLK;
    on->call();
    give_up(*on, *mutex);  // and nobody has a turn until it waits
    const bool woken = on->wait(condition, limit);
    ::pthread_mutex_lock(mutex);
    return woken ? 0 : ETIMEDOUT;
}

/// What pthread_setspecific(3) keeps: of OpenSSL, the errors of a thread, which it looks at with each call.
std::vector<const void*>& specific() {
    static std::vector<const void*> outside;
    auto* const on = kernel::current();
    return on == nullptr || on->running() == nullptr ? outside : on->running()->specific;
}

}  // namespace

extern "C" {

int pthread_create(pthread_t* into, const pthread_attr_t*, void* (*body)(void*), void* with) noexcept {
    const inside on;
    if (!on) return EAGAIN;
    on->call();
    if (on->self().threads_fail > 0) {
        --on->self().threads_fail;
        return EAGAIN;
    }
    *into = reinterpret_cast<pthread_t>(&on->start(on->self(), "", [body, with] { return body(with); }));
    return 0;
}

int pthread_join(pthread_t thread, void** result) {
    const inside on;
    while (!on->is_over(of(thread))) on->wait(of(thread));
    if (result != nullptr) *result = on->result_of(of(thread));
    return 0;
}

int pthread_detach(pthread_t) noexcept { return 0; }

pthread_t pthread_self() noexcept {
    const inside on;
    return !on ? 1 : reinterpret_cast<pthread_t>(on->running());
}

int pthread_setname_np(pthread_t thread, const char* name) noexcept {
    of(thread)->name = name;
    return 0;
}

/// Nobody destroys what is kept: a simulated thread leaves it behind.
int pthread_key_create(pthread_key_t* into, void (*)(void*)) noexcept {
    static pthread_key_t last = 0;
    *into = ++last;
    return 0;
}
int pthread_key_delete(pthread_key_t) noexcept { return 0; }
int pthread_setspecific(pthread_key_t key, const void* what) noexcept {
    const inside on;
    auto& all = specific();
    if (all.size() <= key) all.resize(key + 1);
    all[key] = what;
    return 0;
}
void* pthread_getspecific(pthread_key_t key) noexcept {
    const auto& all = specific();
    return key < all.size() ? const_cast<void*>(all[key]) : nullptr;
}

int pthread_setcancelstate(int, int*) { return 0; }
int pthread_setcanceltype(int, int*) { return 0; }

int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t*) noexcept {
    *mutex = PTHREAD_MUTEX_INITIALIZER;
    return 0;
}
int pthread_mutex_destroy(pthread_mutex_t*) noexcept { return 0; }

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
    const inside on;
    if (!on) return 0;
    while (mutex->__data.__owner != 0) {
        ++mutex->__data.__nusers;  // of one that ends meanwhile it stays, and costs a look
        on->wait(mutex);
        --mutex->__data.__nusers;
    }
    mutex->__data.__owner = on->running()->thread;
    return 0;
}
int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
    const inside on;
    if (!on) return 0;
    if (mutex->__data.__owner != 0) return EBUSY;
    mutex->__data.__owner = on->running()->thread;
    return 0;
}
int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
    const inside on;
    if (!on) return mutex->__data.__owner = 0;
    give_up(*on, *mutex);
    if (on->chance().one_in(on->preempts * 4)) on->yield();
    return 0;
}

int pthread_cond_init(pthread_cond_t*, const pthread_condattr_t*) noexcept { return 0; }
int pthread_cond_destroy(pthread_cond_t*) noexcept { return 0; }
int pthread_condattr_init(pthread_condattr_t*) noexcept { return 0; }
int pthread_condattr_destroy(pthread_condattr_t*) noexcept { return 0; }
int pthread_condattr_setclock(pthread_condattr_t*, clockid_t) noexcept { return 0; }

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    return wait_on(condition, mutex, nanoseconds::max());
}
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* time) {
    return wait_on(condition, mutex, until(clock, *time));
}
int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* time) {
    return wait_on(condition, mutex, until(CLOCK_MONOTONIC, *time));
}
int pthread_cond_signal(pthread_cond_t* condition) noexcept {
    if (const inside on; on) on->wake(condition, false);
    return 0;
}
int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
    if (const inside on; on) on->wake(condition);
    return 0;
}

int sem_init(sem_t* semaphore, int, unsigned count) noexcept {
    semaphore->__align = static_cast<long>(count);
    return 0;
}
int sem_destroy(sem_t*) noexcept { return 0; }
int sem_post(sem_t* semaphore) noexcept {
    ++semaphore->__align;
    if (const inside on; on) on->wake(semaphore, false);
    return 0;
}
int sem_trywait(sem_t* semaphore) noexcept {
    if (semaphore->__align == 0) return fails_with(EAGAIN);
    --semaphore->__align;
    return 0;
}
int sem_wait(sem_t* semaphore) {
    while (semaphore->__align == 0) inside()->wait(semaphore);
    --semaphore->__align;
    return 0;
}
int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* time) {
    while (semaphore->__align == 0)
        if (!inside()->wait(semaphore, until(clock, *time))) return fails_with(ETIMEDOUT);
    --semaphore->__align;
    return 0;
}

int sched_yield() noexcept {
    if (const inside on; on) {
        on->call();
        on->yield();
    }
    return 0;
}

int nanosleep(const timespec* time, timespec*) {  // lint: the simulated one
    if (const inside on; on) on->wait(&*on, on->now() + time_of(*time));
    return 0;
}
int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec*) {
    const inside on;
    if (on) on->wait(&*on, (flags & TIMER_ABSTIME) != 0 ? until(clock, *time) : on->now() + time_of(*time));
    return 0;
}

}  // extern "C"
