// server.mjs ADDRESS PORT: answers GET /N with N bytes of a pattern, and POST with what it was sent.
import http from "node:http";

const [address, port] = process.argv.slice(2);
const server = http.createServer((request, response) => {
	if (request.method === "POST") {
		request.pipe(response);
		return;
	}
	const length = Number(request.url.slice(1));
	response.setHeader("Content-Length", length);
	response.end(Buffer.alloc(length, `bytes of ${length};`));
});
// Clients under load are slow, and are to find the connection that they keep.
server.keepAliveTimeout = 0;
server.listen({ host: address, port: Number(port), backlog: 511 });
process.on("SIGTERM", () => process.exit(0));
