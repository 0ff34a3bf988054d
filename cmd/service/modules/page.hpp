#pragma once

#include "cmd/service/module.hpp"
#include "server/admin/page/page.hpp"

/// What a browser sees at /debug/.
class page_module final : public service_module {
public:
    explicit page_module(const module_start&) {}

    void look_at(server::debug_sources& from) override { from.page = server::live_page; }
};
