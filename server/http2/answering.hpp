#pragma once

#include "server/http2/tunnelling.hpp"

namespace server::http2 {

/// From a request to its answer: by its handler, in the place of that, or by the server itself.
class answering : public tunnelling {
public:
    using tunnelling::tunnelling;

    /// A handler or a source has returned, after duties::ask.
    void returned(stream& stream) noexcept;

protected:
    void start(stream& stream);
    /// An extended CONNECT.
    void connect(stream& stream);
    void refuse(stream& stream, rule by);
    void abandon(stream& stream);

    admission::patience patience_;

private:
    void ask(stream& stream);
    void log_failure(stream& stream);
    void replied(stream& stream);
    void answer(stream& stream);
};

}  // namespace server::http2
