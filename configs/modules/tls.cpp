#include "configs/fields.hpp"
#include "configs/kinds.hpp"
#include "configs/module_settings.hpp"

namespace configs {

std::vector<setting> rows_of_tls() {
    using namespace kinds;
    return {
        files("app.tls_certificate", "chains, the server's own first; when set, the app port speaks TLS",
              FIELD(app.tls.certificate)),
        files("app.tls_key", "the key of each certificate, in the same order", FIELD(app.tls.key)),
        file("app.tls_client_ca", "when set, must have signed clients' certificates", FIELD(app.tls.client_ca)),
        word("app.tls_min_version", "the lowest version of TLS that is spoken", FIELD(app.tls.min_version),
             {"1.2", "1.3"}),
        file("app.tls_ticket_key", "file of 80 bytes that replicas share, so that sessions resume across a restart",
             FIELD(app.tls.ticket_key)),
    };
}

std::vector<setting> rows_of_debug_tls() {
    using namespace kinds;
    return {
        files("debug.tls_certificate", "chains, the server's own first; when set, the debug port speaks TLS",
              FIELD(debug.tls.certificate)),
        files("debug.tls_key", "the key of each certificate, in the same order", FIELD(debug.tls.key)),
        file("debug.tls_client_ca", "when set, must have signed clients' certificates", FIELD(debug.tls.client_ca)),
        word("debug.tls_min_version", "the lowest version of TLS that is spoken", FIELD(debug.tls.min_version),
             {"1.2", "1.3"}),
        file("debug.tls_ticket_key", "file of 80 bytes that replicas share, so that sessions resume across a restart",
             FIELD(debug.tls.ticket_key)),
    };
}

}  // namespace configs
