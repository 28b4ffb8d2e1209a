// client.mjs URL close|keep|fetch COUNT: asks server.mjs so many times and compares what comes.
import http from "node:http";
import { createHash } from "node:crypto";

const [url, how, count] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: how === "keep", maxSockets: 20 });

function get(length) {
	return new Promise((resolve, reject) => {
		http.get(`${url}/${length}`, { agent }, (response) => {
			const parts = [];
			response.on("data", (part) => parts.push(part));
			response.on("error", reject);
			response.on("end", () => resolve(Buffer.concat(parts).equals(Buffer.alloc(length, `bytes of ${length};`))));
		}).on("error", reject);
	});
}

async function post(number) {
	const body = createHash("sha512").update(String(number)).digest("hex").repeat(1 + number * 245).slice(0, 30_000 * (number + 1));
	const response = await fetch(url, { method: "POST", body });
	return (await response.text()) === body;
}

async function all(count, atOnce, work) {
	let next = 0;
	const results = [];
	const worker = async () => {
		while (next < count)
			results.push(await work(next++));
	};
	await Promise.all(Array.from({ length: atOnce }, worker));
	return results;
}

const results = how === "fetch"
	? await all(Number(count), 10, post)
	: await all(Number(count), 20, (number) => get(1 + (number * 7919) % 50_000));
console.log(results.every(Boolean) ? "all equal" : `${results.filter((equal) => !equal).length} differ`);
agent.destroy();
