#pragma once

#include <optional>

#include "server/http1/receiving.hpp"

namespace server {

/// How a connection answers: the request, its handler, the response.
class http1_answering : public http1_receiving {
public:
    using http1_receiving::http1_receiving;

    void replied(const moment& at);
    void turn_came() noexcept;
    answer_row row(const moment& at) const;
    answer_row refusal(const moment& at) const;

protected:
    step begin_answer(const moment& at);
    std::optional<step> handle(const moment& at);
    void abandon(const moment& at);
    step answer(const moment& at);
    step finish();
    void end_request(const moment& at);
    bool refuse_early(const moment& at);
    bool may_stream();
    void refuse(rule by, ending_letters end, const moment& at);

private:
    void begin_request(const moment& at);
    void append_answer(const moment& at);
    bool says_close(const moment& at) const noexcept;
    bool becomes_another() const noexcept;
    step change_over(const moment& at);
    bool wants_look(const moment& at) const noexcept;
    bool closes_after(const response& reply, const moment& at);
    bool still_due(bool first);
    framing framing_of(const server::request& to, bool close, const moment& at) const;
    void count_answer() noexcept;
    void end_unread() noexcept;
    ending_letters letters_of_last(const moment& at) const noexcept;
    bool looks_behind() const noexcept;
    static void say_when_to_return(response& reply, const moment& at);
};

}  // namespace server
