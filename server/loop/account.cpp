#include "server/loop/account.hpp"

#include <algorithm>
#include <cassert>

namespace server {

void loop_account::note_stop(std::uint64_t nth) noexcept {
    of_stop.number.set(nth);
    for (auto* from_zero :
         {&of_stop.accepted_after, &of_stop.closed_idle, &of_stop.finished, &of_stop.forced, &of_stop.begun_after,
          &of_stop.requests_finished, &of_stop.requests_cut, &of_stop.requests_gone, &of_stop.streams_told,
          &of_stop.streams_ended, &of_stop.streams_ended_by_us, &of_stop.streams_cut})
        from_zero->set(0);
    // What the equations of the report begin with: all that ends from here on is in one of their columns.
    of_stop.open_at_stop.set(open.get());
    of_stop.in_flight_at_stop.set(under_way.get());
}

void loop_account::connection_began(bool in_stop) noexcept {
    accepted.add();
    open.add();
    if (in_stop) of_stop.accepted_after.add();
}

void loop_account::connection_ended(bool by_force, bool worked_during_stop, bool in_stop) noexcept {
    assert(open.get() > 0 && "what closes was open");
    open.subtract();
    // Before a stop only the number of open ones matters.
    if (!in_stop) return;
    auto& column = by_force ? of_stop.forced : worked_during_stop ? of_stop.finished : of_stop.closed_idle;
    column.add();
}

void loop_account::add_to_stop(const account_changes& some) noexcept {
    of_stop.begun_after.add(some.began);
    of_stop.requests_finished.add(some.finished);
    of_stop.requests_cut.add(some.cut);
    of_stop.requests_gone.add(some.gone);
    if (some.told > 0) of_stop.streams_told.add(some.told);
    if (const auto how = some.ended + some.ended_by_us + some.cut_stream; how > 0) {
        of_stop.streams_ended.add(some.ended);
        of_stop.streams_ended_by_us.add(some.ended_by_us);
        of_stop.streams_cut.add(some.cut_stream);
    }
}

void loop_account::add_to(stop_account& report, std::uint64_t nth_stop) const noexcept {
    auto& c = report.connections;
    auto& r = report.requests;
    if (of_stop.number.get() != nth_stop) {  // a wedged loop: all its connections are cut by the exit
        const auto here = open.get(), begun = under_way.get();
        for (auto* const of : {&c.open_at_stop, &c.forced}) *of += here;
        for (auto* const of : {&r.in_flight_at_stop, &r.cut, &r.under_way}) *of += begun;
        return;
    }
    const auto all = of_stop.open_at_stop.get() + of_stop.accepted_after.get();
    const auto ended = of_stop.closed_idle.get() + of_stop.finished.get() + of_stop.forced.get();
    c.open_at_stop += of_stop.open_at_stop.get();
    c.accepted_after += of_stop.accepted_after.get();
    c.closed_idle += of_stop.closed_idle.get();
    c.finished += of_stop.finished.get();
    c.forced +=
        of_stop.forced.get() + (all > ended ? all - ended : 0);  // those that are still open are cut by the exit
    report.streams.told += of_stop.streams_told.get();
    report.streams.ended += of_stop.streams_ended.get();
    report.streams.ended_by_us += of_stop.streams_ended_by_us.get();
    report.streams.cut += of_stop.streams_cut.get();
    const auto answered = of_stop.requests_finished.get(), gone = of_stop.requests_gone.get();
    const auto cut = of_stop.requests_cut.get();  // before what began: of a loop that still turns it is a little older
    const auto at_stop = of_stop.in_flight_at_stop.get(), after = of_stop.begun_after.get();
    r.in_flight_at_stop += at_stop;
    r.begun_after += after;
    r.finished += answered;
    r.gone += gone;
    // Whatever is still under way is cut by the exit.
    const auto at_the_exit = std::max(cut, at_stop + after - std::min(at_stop + after, answered + gone));
    r.cut += at_the_exit;
    r.under_way += at_the_exit - cut;
}

}  // namespace server
