// A peer of bench/websocket/run: Boost.Beast's WebSocket with completion handlers on one thread, as its examples have
// it.

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <cstdio>
#include <memory>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;

namespace {

class session : public std::enable_shared_from_this<session> {
public:
    explicit session(tcp::socket socket) : stream_(std::move(socket)) {}

    void begin() {
        stream_.next_layer().set_option(tcp::no_delay(true));
        stream_.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
        websocket::permessage_deflate deflate;
        deflate.server_enable = true;
        deflate.server_no_context_takeover = deflate.client_no_context_takeover = true;
        deflate.msg_size_threshold = 256;
        stream_.set_option(deflate);
        stream_.async_accept([self = shared_from_this()](beast::error_code error) {
            if (!error) self->read();
        });
    }

private:
    void read() {
        stream_.async_read(buffer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
            if (!error) self->write();
        });
    }
    void write() {
        stream_.text(stream_.got_text());
        stream_.async_write(buffer_.data(), [self = shared_from_this()](beast::error_code error, std::size_t) {
            self->buffer_.consume(self->buffer_.size());
            if (!error) self->read();
        });
    }

    websocket::stream<tcp::socket> stream_;
    beast::flat_buffer buffer_;
};

void accept_on(tcp::acceptor& acceptor) {
    acceptor.async_accept([&acceptor](beast::error_code error, tcp::socket socket) {
        if (!error) std::make_shared<session>(std::move(socket))->begin();
        accept_on(acceptor);
    });
}

}  // namespace

int main() {
    asio::io_context context(1);
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    std::printf("%d\n", acceptor.local_endpoint().port());
    std::fflush(stdout);
    accept_on(acceptor);
    context.run();
}
