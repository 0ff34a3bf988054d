#pragma once

#include "configs/kinds.hpp"

// For the files that make the table, and for them alone: a macro has no namespace.

// A field of a config, const or not. A pointer to member cannot reach through `app.`.
#define FIELD(path) ([](auto& all) -> auto& { return all.path; })
// One that a reload changes, see setting::reloadable: its reader takes it from the newest snapshot each time.
#define LIVE(path) (configs::kinds::live{FIELD(path)})
