import java.nio.ByteBuffer;
import java.nio.file.*;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.*;
import org.eclipse.jetty.server.handler.GracefulHandler;
import org.eclipse.jetty.util.Callback;

/** GracefulHandler, a stop time-out and the stop at the end of the JVM, as Jetty's manual has them. */
class Jetty {
    static class Routes extends Handler.Abstract {
        public boolean handle(Request request, Response response, Callback done) throws Exception {
            var asked = request.getHttpURI();
            switch (asked.getPath()) {
                case "/slow" -> Thread.sleep(number(asked.getQuery()));
                case "/echo" -> {
                    Content.copy(request, response, done);
                    return true;
                }
                case "/big" -> {
                    int left = number(asked.getQuery());
                    response.getHeaders().put(HttpHeader.CONTENT_LENGTH, left);
                    try (var out = Content.Sink.asOutputStream(response)) {
                        for (var piece = new byte[65536]; left > 0; left -= piece.length) out.write(piece, 0, Math.min(left, piece.length));
                    }
                    done.succeeded();
                    return true;
                }
            }
            response.write(true, ByteBuffer.wrap("Hello, QCon!\n".getBytes()), done);
            return true;
        }
    }
    static int number(String query) { return Integer.parseInt(query.substring(query.indexOf('=') + 1)); }

    public static void main(String[] arguments) throws Exception {
        var server = new Server();
        var connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        server.addConnector(connector);
        server.setHandler(new GracefulHandler(new Routes()));
        server.setStopTimeout(5000);
        server.setStopAtShutdown(true);
        server.start();
        Files.writeString(Path.of("ready.json"), "{\"app\":\"127.0.0.1:" + connector.getLocalPort() + "\"}");
    }
}
