#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/client.hpp"
#include "tests/support/process.hpp"

namespace integration {

using support::client;
using support::clock;
using support::eventually;
using support::get;
using support::milliseconds;
using support::request;
using support::response;

/// The program that these tests are about. Defined where they are compiled: service.cpp with SERVICE_BINARY, or
/// tests/kit/program_under_test.cpp beside the installed kit.
std::string program_under_test();

/// What a run of the program to its end has left.
struct outcome {
    int code = -1;
    std::string out, err;
    std::size_t err_lines = 0;
};

/// Runs the real binary with these arguments until it ends by itself; code -1 when it does not in time.
outcome run_to_end(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {},
                   const std::vector<std::pair<std::string, std::string>>& files = {});

/// As a mapping of it ends, "/service ": its build-id comes next.
inline std::string program_mapped() {
    return "/" + std::filesystem::path(program_under_test()).filename().string() + " ";
}

/// The real binary in a directory of its own, on free ports.
class service {
public:
    struct options {
        std::vector<std::string> flags = {};
        std::vector<std::string> environment = {};
        bool full_stderr = false;
        bool wait_until_ready = true;
        std::string program = program_under_test();
        std::vector<std::string> starter = {};  ///< program and arguments that become the service by exec
        bool signals_blocked = false;           ///< every one, by the parent
        support::held_calls* calls = nullptr;   ///< its calls that go to files
        bool wrapped = false;                   ///< the starter stays, `process` is it, and the service is its child
    };

    explicit service(std::vector<std::string> flags = {});
    explicit service(options how);

    const support::endpoint& app() const { return *app_; }
    const support::endpoint& debug() const { return *debug_; }
    support::process& process() { return *process_; }
    const std::filesystem::path& directory() const { return directory_; }

    client connect(int receive_buffer = 0) const { return client(app(), milliseconds(20'000), receive_buffer); }
    /// One request on a connection of its own; throws when there is no answer.
    response ask(const std::string& request, bool to_head = false) const;
    response ask_debug(const std::string& request) const;

    /// True when /readyz of the debug port, which answers to the very end, says this.
    bool readiness_is(int status) const;
    /// SIGTERM (or another), then waits until the service shows that the stop has begun.
    clock::time_point begin_stop(int signal) const;
    /// After `begin_stop`: a signal that is an order of its own, and no echo of the first one. It forces.
    clock::time_point signal_again(int signal) const;
    /// Blocks until the service has the request `path` in a handler, as /debug/tasks tells.
    bool handles(const std::string& path) const;

    /// Exit code; -1 when it has not ended in time or a signal ended it.
    int exit_code(milliseconds limit = milliseconds(30'000));
    /// From `since` until the end was seen. Only after `exit_code`.
    milliseconds lasted(clock::time_point since);

    boost::json::object report() const;
    std::string err() const { return process_->err(); }
    /// The log has this text, or will: where it goes to a file its lines come from a thread, a moment after what they
    /// tell of.
    bool logs(const std::string& text) const {
        return support::eventually([&] { return err().find(text) != std::string::npos; });
    }
    std::string events() const;

private:
    support::temporary_directory root_;
    std::filesystem::path directory_;
    std::unique_ptr<support::process> process_;
    std::unique_ptr<support::endpoint> app_, debug_;
};

/// An event with an id of its own.
std::string post(const std::string& id, const std::string& data = "x");

/// What /metrics says of it now; -1 when it is not there.
double metric(const service& service, const std::string& name);

/// A number of the report, by its path: `"requests", "cut"`.
std::int64_t number(const boost::json::object& report, const char* section, const char* name);

/// Why the accounts of a report do not balance, or what is left; empty when all is well.
std::string faults(const boost::json::object& report);

}  // namespace integration
