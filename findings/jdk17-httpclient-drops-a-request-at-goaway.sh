#!/usr/bin/env bash
# JDK 17's java.net.http.HttpClient drops the request that it has under way when a GOAWAY comes, whatever stream that
# names: RFC 9113 section 6.8 has a server say GOAWAY(2^31-1, NO_ERROR) first so that nothing is lost, and the answer to
# stream 1 follows 200 ms later. The caller hears java.io.IOException "… GOAWAY received". So each connection of such a
# client that is busy at a graceful stop costs a request.
# Seen with OpenJDK 17.0.15 and h2 4.3.0 from PyPI, which is the server here; needs java and javac of that time, python3 and
# openssl. Fails when that changes. 17.0.21 waits for the answer, and hears it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
[[ $(java -version 2>&1) =~ \"17\.0\.([0-9]+) && ${BASH_REMATCH[1]} -lt 21 ]] ||
    { echo "skipped: java is not 17.0.20 or older: $(java -version 2>&1 | head -n 1)" && exit 0; }
java -version 2>&1 | head -n 1
python3 -m pip install -q --target packages h2==4.3.0 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout key.pem -out certificate.pem -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
cat >Client.java <<'JAVA'
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.*;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.*;

public class Client {
    public static void main(String[] given) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (var in = new FileInputStream("certificate.pem")) {
            store.setCertificateEntry("one", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        var tls = SSLContext.getInstance("TLS");
        tls.init(null, trust.getTrustManagers(), null);
        var client = HttpClient.newBuilder().sslContext(tls).version(HttpClient.Version.HTTP_2).build();
        try {
            var answer = client.send(HttpRequest.newBuilder(URI.create(given[0])).build(), HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.version() + " " + answer.statusCode() + " " + answer.body());
        } catch (java.io.IOException fault) {
            System.out.println(fault.getClass().getName() + ": " + fault.getMessage().replaceAll(".*: ", ""));
        }
        System.exit(0);
    }
}
JAVA
javac Client.java
PYTHONPATH=packages python3 - <<'PYTHON'
import socket, ssl, subprocess, sys, threading, time
import h2.config, h2.connection, h2.events


def serve(listener, says_goaway):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("certificate.pem", "key.pem")
    context.set_alpn_protocols(["h2"])
    raw, _ = listener.accept()
    with context.wrap_socket(raw, server_side=True) as wire:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        wire.sendall(http.data_to_send())
        while data := wire.recv(65536):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    wire.sendall(http.data_to_send())
                    if says_goaway:  # by hand: h2 itself would take it for the end
                        wire.sendall(bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + (2**31 - 1).to_bytes(4, "big") + bytes(4))
                        time.sleep(0.2)
                    http.send_headers(event.stream_id, [(":status", "200"), ("content-length", "2")])
                    http.send_data(event.stream_id, b"ok", end_stream=True)
            try:
                wire.sendall(http.data_to_send())
            except OSError:
                return


def asked(says_goaway):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, says_goaway), daemon=True).start()
    url = f"https://localhost:{listener.getsockname()[1]}/"
    return subprocess.run(["java", "Client", url], capture_output=True, text=True, timeout=60, check=True).stdout.strip()


without, with_goaway = asked(False), asked(True)
print("without a GOAWAY:", without)
print("with GOAWAY(2^31-1) before the answer:", with_goaway)
if without != "HTTP_2 200 ok" or with_goaway != "java.io.IOException: GOAWAY received":
    sys.exit("that has changed")
PYTHON
