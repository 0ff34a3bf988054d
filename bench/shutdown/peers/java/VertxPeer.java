import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.*;
import java.nio.file.*;
import java.util.concurrent.TimeUnit;

/** HttpServer.shutdown with 5 s, at the end of the JVM. */
class VertxPeer {
    static final Buffer piece = Buffer.buffer(new byte[65536]);

    static void send(HttpServerResponse response, int left) {
        while (left > 0 && !response.writeQueueFull()) {
            response.write(left < piece.length() ? piece.getBuffer(0, left) : piece);
            left -= piece.length();
        }
        if (left <= 0) {
            response.end();
            return;
        }
        int rest = left;
        response.drainHandler(ready -> send(response, rest));
    }
    static int number(HttpServerRequest request, String name) { return Integer.parseInt(request.getParam(name)); }

    public static void main(String[] arguments) throws Exception {
        var vertx = Vertx.vertx();
        var server = vertx.createHttpServer().requestHandler(request -> {
            var response = request.response();
            switch (request.path()) {
                case "/slow" -> vertx.setTimer(number(request, "ms"), late -> response.end("slept\n"));
                case "/echo" -> request.body().onSuccess(response::end);
                case "/big" -> {
                    response.putHeader("content-length", request.getParam("bytes"));
                    send(response, number(request, "bytes"));
                }
                default -> response.end("Hello, QCon!\n");
            }
        });
        int port = server.listen(0, "127.0.0.1").toCompletionStage().toCompletableFuture().get().actualPort();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            server.shutdown(5, TimeUnit.SECONDS).toCompletionStage().toCompletableFuture().join();
        }));
        Files.writeString(Path.of("ready.json"), "{\"app\":\"127.0.0.1:" + port + "\"}");
    }
}
