#include "tests/integration/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include "lifecycle/stop_sequence.hpp"

namespace integration {
namespace {

std::vector<std::string> with_path(std::vector<std::string> environment) {
    environment.emplace_back("PATH=/usr/local/bin:/usr/bin:/bin");
    // For builds with a sanitizer: the first report ends the program, with a code of its own.
    for (const char* name : {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"})
        if (const char* value = std::getenv(name)) environment.push_back(fmt::format("{}={}", name, value));
    return environment;
}

}  // namespace

#ifdef SERVICE_BINARY  // not in the kit
std::string program_under_test() { return SERVICE_BINARY; }
#endif

outcome run_to_end(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
                   const std::vector<std::pair<std::string, std::string>>& files) {
    const support::temporary_directory root;
    const auto directory = root.path() / "work";
    std::filesystem::create_directory(directory);
    for (const auto& [name, text] : files) support::write_file(directory / name, text);
    support::process process({program_under_test(), arguments, with_path(environment), directory});
    outcome result;
    if (const auto status = process.wait(milliseconds(20'000))) result.code = status->code;
    result.out = process.out();
    result.err = process.err();
    result.err_lines = static_cast<std::size_t>(std::count(result.err.begin(), result.err.end(), '\n'));
    return result;
}

service::service(std::vector<std::string> flags) : service(options{.flags = std::move(flags)}) {}

service::service(options how) : directory_(root_.path() / "work") {
    std::filesystem::create_directory(directory_);
    // Given flags come later, so that a test may choose otherwise.
    std::vector<std::string> flags = {"--app.address=127.0.0.1", "--app.port=0", "--debug.port=0",
                                      "--ready_file=ready.json", "--shutdown.report=report.json"};
    for (auto& flag : how.flags) {
        const auto key = flag.substr(0, flag.find('=') + 1);
        std::erase_if(flags, [&](const auto& present) { return present.starts_with(key); });
        flags.push_back(std::move(flag));
    }
    how.starter.push_back(how.program);
    flags.insert(flags.begin(), how.starter.begin() + 1, how.starter.end());
    process_ = std::make_unique<support::process>(
        support::process::options{how.starter.front(), std::move(flags), with_path(std::move(how.environment)),
                                  directory_, how.full_stderr, how.signals_blocked, how.calls});
    if (!how.wait_until_ready) return;
    std::string ready;
    eventually(
        [&] {
            ready = support::read_file(directory_ / "ready.json");
            return !ready.empty() || process_->ended();
        },
        milliseconds(20'000));
    if (ready.empty()) throw std::runtime_error("the service is not ready: " + process_->err());
    const auto places = boost::json::parse(ready).as_object();
    app_ = std::make_unique<support::endpoint>(std::string(places.at("app").as_string()));
    debug_ = std::make_unique<support::endpoint>(std::string(places.at("debug").as_string()));
    const bool same = places.at("pid").to_number<pid_t>() == process_->pid();
    if (same == how.wrapped) throw std::runtime_error("wrong pid: " + ready);
}

response service::ask(const std::string& request, bool to_head) const {
    auto connection = connect();
    auto answer = connection.exchange(request, to_head);
    if (!answer) throw std::runtime_error("no answer to " + request.substr(0, request.find('\r')));
    return std::move(*answer);
}

response service::ask_debug(const std::string& request) const {
    client connection(debug());
    auto answer = connection.exchange(request);
    if (!answer) throw std::runtime_error("no answer of the debug port to " + request.substr(0, request.find('\r')));
    return std::move(*answer);
}

bool service::readiness_is(int status) const { return ask_debug(get("/readyz")).status == status; }

clock::time_point service::begin_stop(int signal) const {
    const auto when = process_->signal(signal);
    const auto has_begun = [&] {
        try {
            return readiness_is(503);
        } catch (const std::exception&) {
            return true;  // the debug port closes last: the stop was over before it was looked at
        }
    };
    if (!eventually(has_begun)) throw std::runtime_error("the stop does not begin");
    return when;
}

clock::time_point service::signal_again(int signal) const {
    const auto from = clock::now() + lifecycle::stop_sequence::one_order;
    eventually([&] { return clock::now() >= from; });
    return process_->signal(signal);
}

bool service::handles(const std::string& path) const {
    return eventually([&] { return ask_debug(get("/debug/tasks")).body.find(path) != std::string::npos; });
}

int service::exit_code(milliseconds limit) {
    const auto status = process_->wait(limit);
    return status ? status->code : -1;
}

milliseconds service::lasted(clock::time_point since) {
    const auto status = process_->wait(milliseconds(0));
    if (!status) return milliseconds::max();
    return std::chrono::duration_cast<milliseconds>(status->at - since);
}

boost::json::object service::report() const {
    const auto text = support::read_file(directory_ / "report.json");
    if (text.empty()) throw std::runtime_error("no shutdown report; the log says: " + process_->err());
    return boost::json::parse(text).as_object();
}

std::string service::events() const { return support::read_file(directory_ / "var/events/events.jsonl"); }

std::string post(const std::string& id, const std::string& data) {
    return request("POST", "/events", fmt::format("Idempotency-Key: {}\r\n", id), data);
}

double metric(const service& service, const std::string& name) {
    const auto text = service.ask_debug(get("/metrics")).body;
    const auto at = text.find("\n" + name + " ");
    return at == text.npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

std::int64_t number(const boost::json::object& report, const char* section, const char* name) {
    return report.at(section).as_object().at(name).to_number<std::int64_t>();
}

std::string faults(const boost::json::object& report) {
    const auto connections = [&](const char* name) { return number(report, "connections", name); };
    const auto events = [&](const char* name) { return number(report, "events", name); };
    std::string found;
    if (connections("open_at_stop") + connections("accepted_after") !=
        connections("closed_idle") + connections("finished") + connections("forced"))
        found += "the connections do not balance; ";
    const auto requests = [&](const char* name) { return number(report, "requests", name); };
    if (requests("in_flight_at_stop") + requests("begun_after") !=
        requests("finished") + requests("cut") + requests("gone"))
        found += "the requests do not balance; ";
    std::int64_t dropped = 0;
    for (const auto& reason : report.at("events").as_object().at("dropped").as_object())
        dropped += reason.value().to_number<std::int64_t>();
    if (events("accepted") + events("recovered") != events("delivered") + events("spooled") + dropped)
        found += "the events do not balance; ";
    if (report.at("workers_left").to_number<int>() != 0) found += "workers are left; ";
    const auto& threads = report.at("threads_left");
    if (!threads.is_null() && threads.to_number<int>() != 0) found += "threads are left; ";
    return found.empty() ? found : found + boost::json::serialize(report);
}

}  // namespace integration
