#include "tests/simulator/guest.hpp"

namespace simulator {

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
