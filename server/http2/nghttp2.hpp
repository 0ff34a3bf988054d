#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>

namespace server::http2 {

struct deletes {
    void operator()(nghttp2_session* one) const noexcept { nghttp2_session_del(one); }
    void operator()(nghttp2_session_callbacks* one) const noexcept { nghttp2_session_callbacks_del(one); }
    void operator()(nghttp2_option* one) const noexcept { nghttp2_option_del(one); }
};

template <class T>
using owned = std::unique_ptr<T, deletes>;

}  // namespace server::http2
