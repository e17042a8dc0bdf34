// The JavaScript client against real HTTP servers of this process: `node --test tests/sdk/javascript/client.test.mjs`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";

import { Publisher, wrap } from "../../../sdk/javascript/keelwatch-client.js";

const CLIENT = new URL("../../../sdk/javascript/keelwatch-client.js", import.meta.url);
const EXCHANGE = { model: { requested: "gpt-4" }, prompt: "Where is my parcel?", response: "On its way." };
const TEXT = "It left our warehouse this morning.";
const QUESTION = [{ role: "user", content: "Where is my parcel?" }];
const payload = (name) => JSON.parse(readFileSync(new URL(`../payloads/${name}.json`, import.meta.url), "utf8")).payload;

/** A server that takes exchanges, after it has done what `behaviours` say, one a request. */
async function taker(port = 0, always = take) {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const lines = body.split("\n").map((line) => JSON.parse(line));
    server.requests.push(request.headers);
    (server.behaviours.shift() ?? always)(server, response, lines);
  });
  Object.assign(server, { taken: [], requests: [], behaviours: [] });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  server.url = `http://127.0.0.1:${server.address().port}`;
  server.stop = async () => { server.closeAllConnections(); server.close(); await once(server, "close"); };
  return server;
}

function results(server, response, lines, statuses) {
  server.taken.push(...lines.filter((_, i) => statuses[i] === "accepted"));
  const told = statuses.map((status, index) => ({ index, id: lines[index].id, status }));
  const accepted = told.filter(({ status }) => status === "accepted").length;
  response.writeHead(accepted === lines.length ? 202 : accepted ? 207 : statuses.includes("invalid") ? 422 : 503, { "retry-after": "0" });
  response.end(JSON.stringify({ results: told }));
}

const take = (server, response, lines) => results(server, response, lines, lines.map(() => "accepted"));
const say = (status, headers = {}) => (_, response) => response.writeHead(status, headers).end("{}");
const hang = () => {};
const quiet = { log: () => {}, route: "a/b", lingerMs: 0 };

/** A block with a server and a publisher, which are gone after it. */
async function within(options, work, always = take) {
  const server = await taker(0, always);
  const publisher = new Publisher({ url: server.url, ...quiet, ...options });
  try {
    await work(server, publisher);
  } finally {
    await publisher.close(0);
    await server.stop();
  }
}

test("everything arrives once, in order, with id, time and route", () => within({ key: "kw_x" }, async (server, publisher) => {
  for (let i = 0; i < 450; i++) publisher.publish({ ...EXCHANGE, prompt: `${i} \ud83d` });
  assert.equal(await publisher.flush(20_000), true);
  assert.deepEqual(server.taken.map(({ prompt }) => parseInt(prompt)), [...Array(450).keys()]);
  assert.equal(new Set(server.taken.map(({ id }) => id)).size, 450);
  assert.match(server.taken[0].id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(Math.abs(Date.parse(server.taken[0].ts) - Date.now()) < 60_000);
  assert.equal(server.requests[0].authorization, "Bearer kw_x");
  assert.deepEqual(publisher.stats(), { published: 450, delivered: 450, buffered: 0, bufferedBytes: 0, dropped: {} });
}));

test("while nobody answers the buffer fills, and is delivered afterwards", async () => {
  const gone = await taker();
  const { port } = gone.address();
  await gone.stop();
  const publisher = new Publisher({ url: `http://127.0.0.1:${port}`, ...quiet, bufferExchanges: 50 });
  for (let i = 0; i < 80; i++) publisher.publish(EXCHANGE);
  assert.equal(await publisher.flush(200), false);
  assert.deepEqual(publisher.stats().dropped, { buffer_full: 30 });
  const server = await taker(port);
  assert.equal(await publisher.flush(20_000), true);
  assert.equal(new Set(server.taken.map(({ id }) => id)).size, 50);
  assert.equal(publisher.stats().delivered, 50);
  await publisher.close();
  await server.stop();
});

for (const [name, behave] of Object.entries({ hang, 503: say(503), 429: say(429, { "retry-after": "0" }), 500: say(500), 401: say(401), 422: say(422), 200: say(200) })) {
  test(`what was not taken is sent again: ${name}`, () => within(name === "hang" ? { timeoutMs: 500 } : {}, async (server, publisher) => {
    server.behaviours.push(behave, behave);
    for (let i = 0; i < 5; i++) publisher.publish(EXCHANGE);
    while (publisher.stats().delivered < 5) await publisher.flush(50);
    assert.equal(new Set(server.taken.map(({ id }) => id)).size, 5);
    assert.deepEqual(publisher.stats().dropped, {});
  }));
}

test("a time that the server names is obeyed", async () => {
  const seen = [];
  await within({}, async (_, publisher) => {
    publisher.publish(EXCHANGE);
    assert.equal(await publisher.flush(300), false);
    assert.equal(await publisher.flush(20_000), true);
    assert.ok(seen[1] - seen[0] >= 990);
  }, (server, response, lines) => (seen.push(Date.now()) === 1 ? say(429, { "retry-after": "1" }) : take)(server, response, lines));
});

test("a server that asks for no pause is not asked in a loop", () => within({}, async (server, publisher) => {
  publisher.publish(EXCHANGE);
  await publisher.flush(400);
  assert.ok(server.requests.length >= 1 && server.requests.length <= 4, `${server.requests.length} requests`);
}, say(429, { "retry-after": "0" })));

test("everybody who waits is told, however long they would wait", () => within({}, async (_, publisher) => {
  publisher.publish(EXCHANGE);
  const begin = Date.now();
  assert.deepEqual(await Promise.all([3_000_000_000, 5_000, 5_000].map((most) => publisher.flush(most))), [true, true, true]);
  assert.ok(Date.now() - begin < 4_000);
}, (...given) => setTimeout(() => take(...given), 50)));

test("each result has its own consequence", () => within({ lingerMs: 50 }, async (server, publisher) => {
  const statuses = ["accepted", "invalid", "forbidden", "refused", "unavailable", "unknown"];
  server.behaviours.push((...given) => results(...given, statuses));
  statuses.forEach(() => publisher.publish(EXCHANGE));
  assert.equal(await publisher.flush(20_000), true);
  assert.deepEqual(publisher.stats().dropped, { invalid: 1, forbidden: 1, refused: 1 });
  assert.equal(new Set(server.taken.map(({ id }) => id)).size, 3);
}));

test("what is too much in one request is sent in halves", () => within({ lingerMs: 50 }, async (server, publisher) => {
  for (let i = 0; i < 11; i++) publisher.publish({ ...EXCHANGE, prompt: i === 4 ? "x".repeat(2000) : "p" });
  assert.equal(await publisher.flush(20_000), true);
  assert.equal(server.taken.length, 10);
  assert.deepEqual(publisher.stats().dropped, { too_large: 1 });
}, (server, response, lines) => (lines.length > 3 || lines.some(({ prompt }) => prompt.length > 1000) ? say(413) : take)(server, response, lines)));

test("what cannot be sent is dropped with its reason, and nothing is thrown", async () => {
  const circle = {};
  circle.self = circle;
  const publisher = new Publisher({ ...quiet, url: "http://127.0.0.1:9", bufferBytes: 100_000, lingerMs: 10_000 });
  for (const odd of [{ ...EXCHANGE, extra: circle }, { ...EXCHANGE, extra: { x: 1n } }, { ...EXCHANGE, route: 7 }]) publisher.publish(odd);
  publisher.publish({ ...EXCHANGE, prompt: "p".repeat(5 * 1024 * 1024) });
  publisher.publish(null);
  for (let i = 0; i < 20; i++) publisher.publish({ ...EXCHANGE, prompt: "é".repeat(5_000) });
  const { dropped, bufferedBytes } = publisher.stats();
  assert.ok(bufferedBytes > 80_000 && bufferedBytes <= 100_000);
  assert.equal(dropped.not_json, 3);
  assert.deepEqual([dropped.invalid, dropped.too_large], [1, 1]);
  assert.ok(dropped.buffer_full >= 10);
  await publisher.close(0);
  publisher.publish(EXCHANGE);
  assert.equal(publisher.stats().dropped.closed, 1);
});

test("a hook that fails sends nothing", () => within({
  redact: (one) => {
    if (one.prompt === "throws") throw new Error(one.prompt);
    return one.prompt === "none" ? null : one.prompt === "later" ? Promise.resolve(one) : { ...one, prompt: one.prompt.replace("Ada", "<name>") };
  },
}, async (server, publisher) => {
  for (const prompt of ["throws", "I am Ada.", "none", "later"]) publisher.publish({ ...EXCHANGE, prompt });
  assert.equal(await publisher.flush(20_000), true);
  assert.deepEqual(server.taken.map(({ prompt }) => prompt), ["I am <name>."]);
  assert.deepEqual(publisher.stats().dropped, { redaction: 3 });
}));

test("what a hook leaves out of id, time and route is put back, and a list is no exchange", () => within({
  redact: ({ model, prompt }) => (prompt === "list" ? [prompt] : { model, prompt, response: "" }),
}, async (server, publisher) => {
  publisher.publish({ ...EXCHANGE, id: "x-1", route: "c/d" });
  publisher.publish({ ...EXCHANGE, prompt: "list" });
  assert.equal(await publisher.flush(20_000), true);
  assert.deepEqual(server.taken.map(({ id, route, response }) => [id, route, response]), [["x-1", "c/d", ""]]);
  assert.ok(Date.parse(server.taken[0].ts));
  assert.deepEqual(publisher.stats().dropped, { redaction: 1 });
}));

test("a hook or a log that fails later does not end the application", () => {
  const later = async () => { throw new Error("later"); };
  return within({ redact: later, log: later }, async (_, publisher) => {
    publisher.publish(EXCHANGE);
    assert.equal(await publisher.flush(20_000), true);
    assert.deepEqual(publisher.stats().dropped, { redaction: 1 });
    await publisher.close(); // says what was dropped
    await new Promise(setImmediate); // an unhandled rejection would fail this test
  });
});

test("what is set up wrongly is said at once", () => {
  for (const wrong of [{ url: "127.0.0.1:8400" }, { url: "ftp://x" }, { key: "a b" }, { route: "Support Bot" }, { route: "_keelwatch/x" }]) {
    assert.throws(() => new Publisher(wrong), /^TypeError: (url|key|route): must be/);
  }
  assert.throws(() => wrap({}, new Publisher()), /client: must be one of/);
});

/** Run a program of its own; how it ended and how long it took. */
async function program(url, exitMs, script) {
  const begin = Date.now();
  const code = `import { Publisher } from ${JSON.stringify(CLIENT.href)};
    const publisher = new Publisher({ url: ${JSON.stringify(url)}, route: "a/b", exitMs: ${exitMs}, timeoutMs: ${exitMs}, log: () => {} });
    const say = (prompt) => publisher.publish({ model: { requested: "m" }, prompt, response: "r" });\n${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  const [status] = await once(child, "exit");
  return [status, Date.now() - begin];
}

test("a program that ends sends what is left, and is held up for a bounded time", async () => {
  const server = await taker();
  assert.equal((await program(server.url, 20_000, "for (let i = 0; i < 300; i++) say('x');"))[0], 0);
  assert.equal(server.taken.length, 300);
  await server.stop();
  const hanging = await taker(0, hang);
  const [status, took] = await program(hanging.url, 300, "say('x');");
  assert.equal(status, 0);
  assert.ok(took < 20_000);
  await hanging.stop();
});

// ---- clients of models ----------------------------------------------------------------------------------------------

class ModelStream {
  #chunks;
  constructor(chunks) { this.#chunks = chunks; }
  async *[Symbol.asyncIterator]() {
    for (const chunk of this.#chunks) {
      if (chunk instanceof Error) throw chunk;
      yield chunk;
    }
  }
}

class ModelClient {
  #secret = "sk-x";
  baseURL = "https://models.example.com/v1";
  constructor(path, given) {
    const create = async () => {
      if (given instanceof Error) throw given;
      return Array.isArray(given) ? new ModelStream(given) : given;
    };
    const [last, ...above] = path.split(".").reverse();
    Object.assign(this, above.reduce((inner, step) => ({ [step]: inner }), { [last]: { create } }));
  }
  secret() { return this.#secret; }
}

const ASKED = {
  "chat.completions": { model: "gpt-4", messages: QUESTION },
  responses: { model: "gpt-4", input: QUESTION, instructions: "Be brief." },
  messages: { model: "claude", messages: QUESTION, system: "Be brief.", max_tokens: 9 },
};
const at = (client, path) => path.split(".").reduce((inner, step) => inner[step], client);

for (const path of Object.keys(ASKED)) {
  const file = path.split(".")[0];
  for (const stream of [false, true]) {
    test(`${path}${stream ? " streamed" : ""} is published with what was asked and answered`, () => within({}, async (server, publisher) => {
      const given = payload(stream ? `${file}_stream` : file);
      const client = wrap(new ModelClient(path, given), publisher, { provider: "acme", route: "other/route" });
      assert.ok(client instanceof ModelClient && client.secret() === "sk-x");
      const result = await at(client, path).create({ ...ASKED[path], stream });
      if (stream) {
        const read = [];
        for await (const chunk of result) read.push(chunk);
        assert.deepEqual(read, given);
      } else assert.equal(result, given);
      assert.equal(await publisher.flush(20_000), true);
      const [exchange] = server.taken;
      assert.equal(server.taken.length, 1);
      assert.ok(JSON.stringify(exchange.response).includes(TEXT));
      assert.deepEqual(exchange.prompt.at(-1), QUESTION[0]);
      assert.equal(exchange.route, "other/route");
      const { requested, served, provider, endpoint } = exchange.model;
      assert.deepEqual([requested, served, provider, endpoint], [ASKED[path].model, "fake-1-0613", "acme", "models.example.com"]);
      assert.deepEqual(exchange.usage, { input_tokens: 20, output_tokens: 10 });
      assert.ok(["stop", "completed", "end_turn"].includes(exchange.response.finish_reason));
      if (process.env.KEELWATCH_TEST_SENT) appendFileSync(process.env.KEELWATCH_TEST_SENT, `${JSON.stringify(exchange)}\n`);
    }));
  }

  test(`${path}: an error is the library's own, and is published`, () => within({}, async (server, publisher) => {
    const error = Object.assign(new Error("429 slow down"), { status: 429, error: { type: "rate_limit", code: "slow" } });
    await assert.rejects(at(wrap(new ModelClient(path, error), publisher), path).create(ASKED[path]), (caught) => caught === error);
    const broken = wrap(new ModelClient(path, [...payload(`${file}_stream`).slice(0, 4), error]), publisher);
    await assert.rejects(async () => { for await (const _ of await at(broken, path).create(ASKED[path])); }, (caught) => caught === error);
    assert.equal(await publisher.flush(20_000), true);
    const told = { type: "rate_limit", code: "slow", status: 429, message: "429 slow down" };
    assert.deepEqual(server.taken.map(({ response }) => response.error), [told, told]);
  }));
}

test("a stream that nobody reads to its end is cancelled, and no answer", () => within({}, async (server, publisher) => {
  const client = wrap(new ModelClient("chat.completions", payload("chat_stream")), publisher);
  for (const most of [1, 3]) {
    let read = 0;
    for await (const _ of await client.chat.completions.create(ASKED["chat.completions"])) if (++read === most) break;
  }
  assert.equal(await publisher.flush(20_000), true);
  assert.deepEqual(server.taken.map(({ response }) => [response.content, response.finish_reason]), [[TEXT.slice(0, 14), "cancelled"]]);
}));

test("an aborted stream, which the libraries end without an error, is cancelled", () => within({}, async (server, publisher) => {
  const controller = new AbortController();
  const chunks = payload("chat_stream").slice(0, 3);
  const client = { chat: { completions: { create: async () => Object.assign(new ModelStream(chunks), { controller }) } } };
  let read = 0;
  for await (const _ of await wrap(client, publisher).chat.completions.create(ASKED["chat.completions"])) if (++read === 3) controller.abort();
  assert.equal(await publisher.flush(20_000), true);
  assert.equal(server.taken[0].response.finish_reason, "cancelled");
}));

test("what no library gives reaches the caller all the same", () => within({}, async (_, publisher) => {
  for (const odd of [null, 7, { choices: 3 }, { choices: [null] }]) {
    const client = wrap(new ModelClient("chat.completions", odd), publisher);
    assert.equal(await client.chat.completions.create(), odd);
    assert.equal(await client.chat.completions.create({ model: 3, messages: 7 }), odd);
  }
}));
