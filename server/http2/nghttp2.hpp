#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>

namespace server::http2 {

struct deletes {
    void operator()(nghttp2_session* object) const noexcept { nghttp2_session_del(object); }
    void operator()(nghttp2_session_callbacks* object) const noexcept { nghttp2_session_callbacks_del(object); }
    void operator()(nghttp2_option* object) const noexcept { nghttp2_option_del(object); }
};

template <class T>
using owned = std::unique_ptr<T, deletes>;

}  // namespace server::http2
