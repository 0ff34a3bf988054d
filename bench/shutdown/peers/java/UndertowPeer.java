import io.undertow.*;
import io.undertow.server.*;
import io.undertow.server.handlers.*;
import io.undertow.util.Headers;
import java.net.InetSocketAddress;
import java.nio.file.*;

/** GracefulShutdownHandler, waited for 5 s at the end of the JVM, then stop. */
class UndertowPeer {
    static void answer(HttpServerExchange exchange) throws Exception {
        exchange.startBlocking();
        switch (exchange.getRequestPath()) {
            case "/slow" -> Thread.sleep(number(exchange));
            case "/echo" -> {
                var body = exchange.getInputStream().readAllBytes();
                exchange.setResponseContentLength(body.length);
                exchange.getOutputStream().write(body);
                exchange.endExchange();
                return;
            }
            case "/big" -> {
                int left = number(exchange);
                exchange.setResponseContentLength(left);
                var out = exchange.getOutputStream();
                for (var piece = new byte[65536]; left > 0; left -= piece.length) out.write(piece, 0, Math.min(left, piece.length));
                exchange.endExchange();
                return;
            }
        }
        exchange.getResponseSender().send("Hello, QCon!\n");
    }
    static int number(HttpServerExchange exchange) {
        var query = exchange.getQueryString();
        return Integer.parseInt(query.substring(query.indexOf('=') + 1));
    }

    public static void main(String[] arguments) throws Exception {
        var graceful = new GracefulShutdownHandler(new BlockingHandler(UndertowPeer::answer));
        var server = Undertow.builder().addHttpListener(0, "127.0.0.1").setHandler(graceful).build();
        server.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            graceful.shutdown();
            try {
                graceful.awaitShutdown(5000);
            } catch (InterruptedException gone) {
            }
            server.stop();
        }));
        var at = (InetSocketAddress) server.getListenerInfo().get(0).getAddress();
        Files.writeString(Path.of("ready.json"), "{\"app\":\"127.0.0.1:" + at.getPort() + "\"}");
    }
}
