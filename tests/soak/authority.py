"""Certificates of tests/all/soak: an authority of its own and several chains for localhost, swapped as kubelet does it."""
import asyncio, os, ssl, subprocess


class Authority:
    CHAINS = 4

    def __init__(self, place):
        self.place, self.nth, self.contexts = os.path.join(place, "certificates"), 0, {}
        os.mkdir(self.place)
        self.openssl("req", "-x509", *self.KEY, "-days", "30", "-subj", "/CN=soak", "-keyout", "ca.key", "-out", "ca.pem")
        for nth in range(self.CHAINS): self.make(nth)
        for name in ("tls.crt", "tls.key"): os.symlink("..data/" + name, self.path(name))
        with open(self.path("ticket.key"), "wb") as file: file.write(os.urandom(80))
        self.swap()

    KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def path(self, name):
        return os.path.join(self.place, name)

    def openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.place, check=True, capture_output=True)

    def make(self, nth):
        os.mkdir(self.path(f"v{nth}"))
        with open(self.path("names"), "w") as file: file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self.openssl("req", *self.KEY, "-subj", "/CN=localhost", "-keyout", f"v{nth}/tls.key", "-out", "request")
        self.openssl("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "20", "-set_serial", str(100 + nth),
                     "-extfile", "names", "-out", f"v{nth}/tls.crt")

    def swap(self):
        """Another chain is in force; returns its serial number."""
        self.nth = (self.nth + 1) % self.CHAINS
        os.symlink(f"v{self.nth}", self.path("..next"))
        os.rename(self.path("..next"), self.path("..data"))
        return 100 + self.nth

    def flags(self):
        return {"app.tls_certificate": self.path("tls.crt"), "app.tls_key": self.path("tls.key"), "app.tls_ticket_key": self.path("ticket.key")}

    def context(self, protocol):
        """One for each protocol, as a client has it."""
        if protocol not in self.contexts:
            context = self.contexts[protocol] = ssl.create_default_context(cafile=self.path("ca.pem"))
            context.set_alpn_protocols([protocol])
        return self.contexts[protocol]

    async def serial_at(self, port):
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        try:
            return int(writer.get_extra_info("peercert")["serialNumber"], 16)
        finally:
            writer.close()
