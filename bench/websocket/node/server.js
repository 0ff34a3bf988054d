// A peer of bench/websocket/run: npm's ws. Messages from 256 bytes are compressed where that has been agreed on.
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({
    host: "127.0.0.1", port: 0, clientTracking: false, maxPayload: 1024 * 1024,
    perMessageDeflate: { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 256 },
});
const all = new Set();
server.on("listening", () => console.log(server.address().port));
server.on("connection", (client, asked) => {
    client.on("error", () => {});
    if (asked.url !== "/all") return client.on("message", (data, binary) => client.send(data, { binary }));
    all.add(client);
    client.on("close", () => all.delete(client));
    client.on("message", (data, binary) => all.forEach(other => other.send(data, { binary })));
});
