// Threads, and what they wait by. A mutex is its owner's number, a semaphore its count; who waits does so by address.

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include <climits>
#include <map>

#include "tests/simulator/calls.hpp"

using namespace simulator;

namespace {

fiber* of(pthread_t thread) { return reinterpret_cast<fiber*>(thread); }

nanoseconds until(clockid_t clock, const timespec& time) {
    const auto when = time_of(time);
    return clock == CLOCK_REALTIME ? when - wall_began : when;
}

int wait_on(pthread_cond_t* condition, pthread_mutex_t* mutex, nanoseconds limit) {
    const inside on;
    if (!on) return EDEADLK;
    on->call();
    mutex->__data.__owner = 0;  // and nobody has a turn until it waits
    on->wake(mutex, false);
    const bool woken = on->wait(condition, limit);
    ::pthread_mutex_lock(mutex);
    return woken ? 0 : ETIMEDOUT;
}

/// What pthread_setspecific(3) keeps: of OpenSSL, the errors of a thread.
std::map<pthread_key_t, const void*>& specific(fiber* of) {
    static std::map<pthread_key_t, const void*> outside;
    return of == nullptr ? outside : of->specific;
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
    specific(on ? on->running() : nullptr)[key] = what;
    return 0;
}
void* pthread_getspecific(pthread_key_t key) noexcept {
    const inside on;
    const auto& all = specific(on ? on->running() : nullptr);
    const auto found = all.find(key);
    return found == all.end() ? nullptr : const_cast<void*>(found->second);
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
    while (mutex->__data.__owner != 0) on->wait(mutex);
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
    mutex->__data.__owner = 0;
    if (!on) return 0;
    on->wake(mutex, false);
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
