#include "configs/own_settings.hpp"

#include "configs/kinds.hpp"

configs::program own_program() {
    using namespace configs::kinds;
    using namespace std::chrono_literals;
    using configs::is_text;
    return {.name = "SERVICE_NAME",
            .variables = "SERVICE_PREFIX_",
            .rows = {
                // OWN_LIVE is what a reload may change: its reader takes it from the newest snapshot.
                text("greeting.word", "what a greeting begins with", "a text", OWN_LIVE(own_settings, word), is_text),
                duration("greeting.patience", "how long /later waits", OWN_LIVE(own_settings, patience), 0ms, 10s),
            }};
}
