package peer;  // Spring looks for what belongs to it in the package

import java.io.*;
import java.nio.file.*;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.server.context.WebServerInitializedEvent;
import org.springframework.context.event.EventListener;
import org.springframework.web.bind.annotation.*;
import jakarta.servlet.http.HttpServletResponse;

/** server.shutdown=graceful, 5 s for the phase. */
@SpringBootApplication
@RestController
public class Spring {
    @GetMapping("/") String hello() { return "Hello, QCon!\n"; }
    @GetMapping("/slow") String slow(@RequestParam("ms") int ms) throws Exception {
        Thread.sleep(ms);
        return "slept\n";
    }
    @PostMapping("/echo") void echo(InputStream body, HttpServletResponse response) throws IOException {
        response.getOutputStream().write(body.readAllBytes());
    }
    @GetMapping("/big") void big(@RequestParam("bytes") int left, HttpServletResponse response) throws IOException {
        response.setContentLength(left);
        for (var piece = new byte[65536]; left > 0; left -= piece.length) response.getOutputStream().write(piece, 0, Math.min(left, piece.length));
    }
    @EventListener void ready(WebServerInitializedEvent event) throws IOException {
        Files.writeString(Path.of("ready.json"), "{\"app\":\"127.0.0.1:" + event.getWebServer().getPort() + "\"}");
    }

    public static void main(String[] arguments) {
        var app = new SpringApplication(Spring.class);
        app.setDefaultProperties(Map.of("server.address", "127.0.0.1", "server.port", "0", "server.shutdown", "graceful",
            "spring.lifecycle.timeout-per-shutdown-phase", "5s", "logging.level.root", "error"));
        app.run(arguments);
    }
}
