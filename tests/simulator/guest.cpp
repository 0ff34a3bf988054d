#include "tests/simulator/guest.hpp"

namespace simulator {

guest::~guest() {
    if (way_) way_->leave();
}

void guest::abandon() {
    if (way_) way_->leave();
    way_ = nullptr;
    is_open_ = false;
}

void guest::connection_ended(bool by_reset) {
    is_open_ = false;
    for (auto& each : requests_) {
        if (each.connection != connections_ || each.status != 0) continue;
        (by_reset ? each.reset : each.finished) = true;
        each.arrived = way_->had(each.ends) && way_->is_accepted;
    }
    if (!by_reset) way_->finish();
    way_->leave();
}

std::string guest::describe() const {
    std::string text = "client of script " + std::to_string(static_cast<int>(script_));
    for (const auto& each : requests_)
        text += "\n    " + each.bytes.substr(0, each.bytes.find("\r\n")) +
                (each.event < 0 ? "" : " (e" + std::to_string(each.event) + ")") + ": connection " +
                std::to_string(each.connection) + ", status " + std::to_string(each.status) +
                (each.stopped ? ", stopped" : "") + (each.refused ? ", refused" : "") + (each.reset ? ", reset" : "") +
                (each.finished ? ", FIN" : "") + (each.garbled ? ", cut" : "") + (each.arrived ? ", had arrived" : "");
    return text;
}

}  // namespace simulator
