#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <tuple>

#include "configs/load.hpp"
#include "configs/values.hpp"

namespace configs {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view grace_variable = "TERMINATION_GRACE_SECONDS", hook_variable = "PRE_STOP_SECONDS";
/// From `docker stop` and `podman stop` to their SIGKILL, unless they are told otherwise.
constexpr auto patience_of_docker = 10s;
constexpr auto debug_and_report = 100ms;  // what the stop needs after the tracker's share

/// An address as IPv6 has it, IPv4 mapped (RFC 4291, section 2.5.5.2), so that the two compare.
in6_addr mapped(const std::string& literal) {
    in6_addr address;
    if (::inet_pton(AF_INET6, literal.c_str(), &address) == 1) return address;
    ::inet_pton(AF_INET6, ("::ffff:" + literal).c_str(), &address);
    return address;
}

bool is_path(const std::string& address) { return address.starts_with("unix:"); }

/// One that is empty is not, as for settings.
bool is_set(const environment& variables, std::string_view name) {
    const auto given = variables.find(name);
    return given != variables.end() && !given->second.empty();
}

/// Whether a socket bound to one keeps the other from the same port. `::` is dual stack.
bool overlap(const std::string& left, const std::string& right) {
    const auto any4 = mapped("0.0.0.0");
    const auto covers = [&](const in6_addr& wide, const in6_addr& other) {
        if (IN6_IS_ADDR_UNSPECIFIED(&wide)) return true;
        return IN6_ARE_ADDR_EQUAL(&wide, &any4) && IN6_IS_ADDR_V4MAPPED(&other);
    };
    const auto a = mapped(left);
    const auto b = mapped(right);
    return IN6_ARE_ADDR_EQUAL(&a, &b) || covers(a, b) || covers(b, a);
}

class cross_checker {
public:
    cross_checker(const config& values, const places& origin, const std::set<std::string>& wrong)
        : values_(values), origin_(origin), wrong_(wrong) {}

    void budget_holds_its_phases() {
        const auto& s = values_.shutdown;
        const auto least = s.lame_duck + s.idle_grace + s.flush + debug_and_report;
        if (s.budget >= least ||
            !known({"shutdown.budget", "shutdown.lame_duck", "shutdown.idle_grace", "shutdown.flush"}))
            return;
        fault("{} is too short for {}, {}, {} and {} for debug server and report: allowed is at least {}",
              show("shutdown.budget"), show("shutdown.lame_duck"), show("shutdown.idle_grace"), show("shutdown.flush"),
              format_duration(debug_and_report), format_duration(least));
    }

    /// Kubernetes kills at the end of its grace period, whatever our budget says; a preStop hook comes first, and takes
    /// its time from it.
    void budget_fits(const environment& variables) {
        const auto grace = seconds_of(variables, grace_variable), hook = seconds_of(variables, hook_variable);
        if (!grace || (!hook && is_set(variables, hook_variable))) return;
        if (!hook) {
            if (values_.shutdown.budget > *grace && known({"shutdown.budget"}))
                fault("{} is longer than {}: allowed is at most {}", show("shutdown.budget"), grace_variable,
                      format_duration(*grace));
            return;
        }
        if (*hook >= *grace)
            return fault("{} = {} leaves nothing of {} = {}, SIGKILL comes 2s after SIGTERM: allowed is less",
                         hook_variable, hook->count(), grace_variable, grace->count());
        if (values_.shutdown.budget > *grace - *hook && known({"shutdown.budget"}))
            fault("{} is longer than what {} leaves of {}: allowed is at most {}", show("shutdown.budget"),
                  hook_variable, grace_variable, format_duration(*grace - *hook));
    }

    /// Only with another limit than the standard one: below that a smaller limit for the head alone refuses the
    /// head first, and nothing is wrong. Not by origin, for what --check-config prints must load again.
    void target_fits_head() {
        const auto& app = values_.app;
        if (app.max_target_bytes <= app.max_header_bytes || !known({"app.max_target_bytes", "app.max_header_bytes"}) ||
            app.max_target_bytes == config().app.max_target_bytes)
            return;
        fault("{} does not fit {}: allowed is at most {}", show("app.max_target_bytes"), show("app.max_header_bytes"),
              format_size(app.max_header_bytes));
    }

    /// A client that believes the hint sends its last request up to that second: it must still find us there.
    void hint_is_kept() {
        const auto& app = values_.app;
        const auto hint = app.keep_alive_hint;
        if (hint.count() == 0 || !known({"app.keep_alive_hint"})) return;
        constexpr auto least = 3s;
        if (hint < least)
            return fault("{}: allowed is 0s, or at least {}", show("app.keep_alive_hint"), format_duration(least));
        if (app.idle_timeout < hint + 2s && known({"app.idle_timeout"}))
            fault("{} is too long for {}: allowed is an idle_timeout of at least {}", show("app.keep_alive_hint"),
                  show("app.idle_timeout"), format_duration(hint + 2s));
        const auto lame_duck = values_.shutdown.lame_duck;
        if (lame_duck.count() > 0 && lame_duck < hint + 500ms && known({"shutdown.lame_duck"}))
            fault("{} is too long for {}: allowed is a lame_duck of 0s, or of at least {}", show("app.keep_alive_hint"),
                  show("shutdown.lame_duck"), format_duration(hint + 500ms));
    }

    // [module tls]
    void certificates_have_keys() {
        const auto check = [&](const server::tls_options& tls, const char* certificates, const char* keys) {
            if (tls.certificate.size() == tls.key.size() || !known({certificates, keys})) return;
            fault("{} does not fit {}: allowed are as many keys as certificates, in the same order", show(keys),
                  show(certificates));
        };
        check(values_.app.tls, "app.tls_certificate", "app.tls_key");
        check(values_.debug.tls, "debug.tls_certificate", "debug.tls_key");
    }

    // [/module tls]
    void servers_do_not_collide() {
        const auto& [app, debug] = std::tie(values_.app, values_.debug);
        if (!known({"app.port", "debug.port", "app.address", "debug.address"})) return;
        if (is_path(app.address) || is_path(debug.address)) {
            if (app.address == debug.address)
                fault("{} and {} are the same: allowed are different paths", show("app.address"),
                      show("debug.address"));
            return;
        }
        if (app.port == 0 || app.port != debug.port || !overlap(app.address, debug.address)) return;
        fault("{} and {} are the same on {} and {}: allowed are different ports, or 0 for any free one",
              show("app.port"), show("debug.port"), show("app.address"), show("debug.address"));
    }

    /// A path belongs to one socket.
    void a_path_is_not_reused() {
        if (!values_.app.reuse_port || !known({"app.address", "app.reuse_port"}) || !is_path(values_.app.address))
            return;
        fault("{} and {} do not go together: allowed is an IP address, or false", show("app.address"),
              show("app.reuse_port"));
    }

    void retry_grows() {
        if (values_.tracker.retry_initial <= values_.tracker.retry_max ||
            !known({"tracker.retry_initial", "tracker.retry_max"}))
            return;
        fault("{} is longer than {}: allowed is at most that", show("tracker.retry_initial"),
              show("tracker.retry_max"));
    }

    /// The queue hands each event out once.
    void several_sinks_have_a_spool() {
        if (values_.tracker.sinks.size() == 1 || values_.tracker.durability != tracker::durability::memory ||
            !known({"tracker.sink", "tracker.durability"}))
            return;
        fault("{} and {} do not go together: allowed is one sink, or durability process or disk", show("tracker.sink"),
              show("tracker.durability"));
    }

    std::vector<std::string> faults() { return std::move(faults_); }

private:
    /// Of a variable beside the settings; nothing when it is not there, or wrong, which is a fault.
    std::optional<std::chrono::seconds> seconds_of(const environment& variables, std::string_view name) {
        if (!is_set(variables, name)) return {};
        const auto given = variables.find(name);
        const auto seconds = parse_number(given->second);
        constexpr std::uint64_t most = 86'400;
        if (seconds && *seconds > 0 && *seconds <= most) return std::chrono::seconds(*seconds);
        fault("{} = {}: allowed is a whole number from 1 to {}", name, in_quotes(given->second), most);
        return {};
    }

    bool known(std::initializer_list<const char*> keys) const {
        return std::ranges::none_of(keys, [this](const char* key) { return wrong_.contains(key); });
    }

    /// `app.port = 8080 (built-in)`
    std::string show(std::string_view key) const {
        return fmt::format("{} = {} ({})", key, find_setting(key)->toml(values_), origin_.find(key)->second);
    }

    template <class... Values>
    void fault(fmt::format_string<Values...> form, Values&&... values) {
        faults_.push_back(fmt::format(form, std::forward<Values>(values)...));
    }

    const config& values_;
    const places& origin_;
    const std::set<std::string>& wrong_;
    std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> cross_faults(const config& values, const places& origin, const environment& variables,
                                      const std::set<std::string>& wrong) {
    cross_checker check(values, origin, wrong);
    check.budget_holds_its_phases();
    check.budget_fits(variables);
    check.target_fits_head();
    check.hint_is_kept();
    check.certificates_have_keys();  // [module tls/]
    check.servers_do_not_collide();
    check.a_path_is_not_reused();
    check.retry_grows();
    check.several_sinks_have_a_spool();
    return check.faults();
}

/// `container` is set by podman, and by our image (systemd's container interface); Kubernetes has a patience of its
/// own.
std::vector<std::string> cross_warnings(const config& values, const places& origin, const environment& variables) {
    const auto in = variables.find("container");
    const bool plain =
        in != variables.end() && (in->second == "docker" || in->second == "podman" || in->second == "oci");
    if (!plain || is_set(variables, grace_variable) || is_set(variables, "KUBERNETES_SERVICE_HOST") ||
        values.shutdown.budget < patience_of_docker)
        return {};
    return {
        fmt::format("shutdown.budget = {} ({}): docker stop and podman stop send SIGKILL {} after SIGTERM unless told "
                    "otherwise: set "
                    "less, or run with --stop-timeout and tell the program by {}",
                    format_duration(values.shutdown.budget), origin.find("shutdown.budget")->second,
                    format_duration(patience_of_docker), grace_variable)};
}

}  // namespace configs
