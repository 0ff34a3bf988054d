#include "cmd/service/show.hpp"

#include <fmt/core.h>
#include <signal.h>

#include <cstdio>

#include "cmd/service/build_info.hpp"
#include "cmd/service/modules.hpp"
#include "cmd/service/probe.hpp"
#include "configs/program.hpp"
#include "lifecycle/conclusion.hpp"
#include "tracker/spool/spool.hpp"

namespace {

/// A pipe that nobody reads any more ends it, and so do SIGINT and SIGTERM.
void as_other_programs() {
    ::signal(SIGPIPE, SIG_DFL);
    const sigset_t none = {};
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

int show(const configs::command& line, const configs::loaded& settings, spdlog::logger& log) {
    switch (line.what) {
        case configs::command::action::help: std::fputs(line.text.c_str(), stdout); break;
        case configs::command::action::version:
            fmt::print("{} {} ({}), {}\n", configs::this_program().name, build_info::version(), build_info::revision(),
                       skeleton_info::in_words());
            break;
        case configs::command::action::check:
            modules::check(settings, log);  // as the start does
            std::fputs(configs::to_toml(settings).c_str(), stdout);
            break;
        case configs::command::action::probe:
            return probe(settings.values.debug, line.argument, modules::asking(settings.values)) ? 0 : 1;
        case configs::command::action::spool_dump:
            as_other_programs();
            return tracker::dump_spool(line.argument, stdout, stderr) ? lifecycle::clean : lifecycle::could_not_start;
        case configs::command::action::run: break;
    }
    return lifecycle::clean;
}
