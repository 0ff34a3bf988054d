#include "server/stop_account.hpp"

#include <boost/json.hpp>

namespace server {

namespace json = boost::json;

void stop_account::add_to(lifecycle::shutdown_report& report) const {
    const json::object of_connections{{"open_at_stop", connections.open_at_stop},
                                      {"accepted_after", connections.accepted_after},
                                      {"closed_idle", connections.closed_idle},
                                      {"finished", connections.finished},
                                      {"forced", connections.forced}};
    const json::object of_requests{{"in_flight_at_stop", requests.in_flight_at_stop},
                                   {"begun_after", requests.begun_after},
                                   {"finished", requests.finished},
                                   {"cut", requests.cut},
                                   {"gone", requests.gone}};
    const json::object of_streams{
        {"told", streams.told}, {"ended", streams.ended}, {"ended_by_us", streams.ended_by_us}, {"cut", streams.cut}};
    report.sections.push_back({"connections", json::serialize(of_connections)});
    report.sections.push_back({"requests", json::serialize(of_requests)});
    report.sections.push_back({"streams", json::serialize(of_streams)});
    report.stragglers.insert(report.stragglers.end(), stragglers.begin(), stragglers.end());
    report.work_answered += requests.finished;
    report.work_cut += requests.cut;
    report.cut = report.cut || requests.cut > 0;
}

}  // namespace server
