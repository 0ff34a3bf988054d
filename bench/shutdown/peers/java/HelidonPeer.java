import io.helidon.http.HeaderNames;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.http.*;
import java.nio.file.*;
import java.time.Duration;

/** Helidon SE, which stops at the end of the JVM by itself, with a grace period of 5 s. */
class HelidonPeer {
    static int number(ServerRequest request, String name) { return Integer.parseInt(request.query().get(name)); }

    static void slow(ServerRequest request, ServerResponse response) throws InterruptedException {
        Thread.sleep(number(request, "ms"));
        response.send("slept\n");
    }
    static void big(ServerRequest request, ServerResponse response) throws java.io.IOException {
        int left = number(request, "bytes");
        response.header(HeaderNames.CONTENT_LENGTH, String.valueOf(left));
        try (var out = response.outputStream()) {
            for (var piece = new byte[65536]; left > 0; left -= piece.length) out.write(piece, 0, Math.min(left, piece.length));
        }
    }

    public static void main(String[] arguments) throws Exception {
        var server = WebServer.builder().host("127.0.0.1").port(0).shutdownGracePeriod(Duration.ofSeconds(5))
            .routing(routes -> routes
                .get("/", (request, response) -> response.send("Hello, QCon!\n"))
                .get("/slow", HelidonPeer::slow)
                .get("/big", HelidonPeer::big)
                .post("/echo", (request, response) -> response.send(request.content().as(byte[].class))))
            .build().start();
        Files.writeString(Path.of("ready.json"), "{\"app\":\"127.0.0.1:" + server.port() + "\"}");
    }
}
