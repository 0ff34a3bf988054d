#include "server/loop_account.hpp"

namespace server {

void loop_account::note_stop(std::uint64_t nth) noexcept {
    noted.set(nth);
    for (auto* from_zero :
         {&accepted_after, &closed_idle, &finished, &forced, &begun_after, &requests_finished, &requests_cut,
          &requests_gone, &streams_told, &streams_ended, &streams_ended_by_us, &streams_cut})
        from_zero->set(0);
    // What the equations of the report begin with: all that ends from here on is in one of their columns.
    open_at_stop.set(open.get());
    in_flight_at_stop.set(under_way.get());
}

void loop_account::connection_began(bool in_stop) noexcept {
    accepted.add();
    open.add();
    if (in_stop) accepted_after.add();
}

void loop_account::connection_ended(bool by_force, bool worked_during_stop, bool in_stop) noexcept {
    open.subtract();
    // Before a stop only the number of open ones matters.
    if (!in_stop) return;
    auto& column = by_force ? forced : worked_during_stop ? finished : closed_idle;
    column.add();
}

void loop_account::add(const account_changes& some) noexcept {
    const auto ended = some.finished + some.cut + some.gone;
    if (some.began != ended) under_way.set(under_way.get() + some.began - ended);
    if (noted.get() == 0) return;
    begun_after.add(some.began);
    requests_finished.add(some.finished);
    requests_cut.add(some.cut);
    requests_gone.add(some.gone);
    if (some.told > 0) streams_told.add(some.told);
    if (const auto how = some.ended + some.ended_by_us + some.cut_stream; how > 0) {
        streams_ended.add(some.ended);
        streams_ended_by_us.add(some.ended_by_us);
        streams_cut.add(some.cut_stream);
    }
}

}  // namespace server
