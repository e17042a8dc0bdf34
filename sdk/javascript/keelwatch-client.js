/**
 * keelwatch-client: publishes exchanges with language models to Keelwatch, and never blocks or breaks the application.
 * One file, no dependency: it needs `fetch` (Node 18 or newer, Deno, Bun, browsers and workers).
 */

const MOST_BYTES = 4 * 1024 * 1024 - 64 * 1024; // of one exchange
const [BATCH, BATCH_BYTES] = [200, 1024 * 1024];
const [FIRST_PAUSE, LONGEST_PAUSE, LONGEST_RETRY_AFTER] = [500, 30_000, 300_000]; // milliseconds
const FATES = { accepted: "sent", invalid: "invalid", forbidden: "forbidden", refused: "refused", unavailable: "again", unknown: "again" };
const ROUTE = /^(?!_keelwatch\/)[a-z0-9._/-]{1,200}$/;
const ENCODER = new TextEncoder();
const after = (milliseconds, work) => setTimeout(work, Math.min(milliseconds, 2 ** 31 - 1)); // a longer one would end at once
const ignored = (promise) => { Promise.resolve(promise).catch(() => {}); }; // a rejection that nobody handles ends a program
const environment = (name) => globalThis.process?.env?.[name] || undefined;

/** A UUIDv7: it says when, and nothing of the content. Sent again under its id, an exchange counts once. */
function newId() {
  const bytes = Uint8Array.from({ length: 16 }, () => Math.random() * 256);
  globalThis.crypto?.getRandomValues(bytes); // Node 18 has none
  let rest = Date.now();
  for (let i = 5; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function isAddress(url) {
  try { return ["http:", "https:"].includes(new URL(url).protocol); } catch { return false; }
}

function checkedRoute(route) {
  if (route !== undefined && !ROUTE.test(route)) {
    throw new TypeError(`route: must be 1 to 200 characters of a-z 0-9 . _ / -, such as support-bot/prod, not ${route}`);
  }
  return route;
}

/** Takes exchanges from the application, keeps a bounded number of them, and sends them in the background. */
export class Publisher {
  #options; #url; #headers; #waiting = []; #bytes = 0; #published = 0; #delivered = 0; #dropped = {};
  #timer; #sending; #failures = 0; #most = BATCH; #closed = false; #atExit; #wakers = new Set(); #toldAt = -Infinity;
  #obeyed = 0; #stop;

  constructor(options = {}) {
    this.#options = {
      bufferExchanges: 10_000, bufferBytes: 64 * 1024 * 1024, lingerMs: 200, exitMs: 5_000, timeoutMs: 15_000,
      fetch: globalThis.fetch, log: (text) => console.warn(text), ...options,
    };
    const url = options.url ?? environment("KEELWATCH_API_URL") ?? "http://127.0.0.1:8400";
    const key = options.key ?? environment("KEELWATCH_API_KEY");
    if (!isAddress(url)) {
      throw new TypeError(`url: must be the address of Keelwatch's API, such as http://127.0.0.1:8400, not ${url}`);
    }
    if (key !== undefined && !/^[!-~]+$/.test(key)) {
      throw new TypeError("key: must be an API key as `keelwatch key create` prints it, without spaces or line ends");
    }
    checkedRoute(options.route);
    this.#url = `${url.replace(/\/+$/, "")}/v1/exchanges`;
    this.#headers = { "content-type": "application/x-ndjson" };
    if (key !== undefined) this.#headers.authorization = `Bearer ${key}`;
    this.#atExit = () => { if (this.#waiting.length) void this.close(); };
    globalThis.process?.on?.("beforeExit", this.#atExit);
  }

  /** Take one exchange in the native form; `id`, `ts` and `route` are filled in. Never waits, never throws. */
  publish(exchange) {
    try {
      const route = exchange?.route ?? this.#options.route;
      if (this.#closed) return this.#lost("closed");
      if (typeof route !== "string") return this.#lost("invalid");
      if (this.#waiting.length >= this.#options.bufferExchanges) return this.#lost("buffer_full");
      const { id = newId(), ts = new Date().toISOString() } = exchange;
      const text = JSON.stringify({ ...exchange, id, ts, route });
      this.#add({ text, size: sizeOf(text), redacted: false });
    } catch {
      this.#lost("not_json");
    }
  }

  #add(one) {
    if (one.size > MOST_BYTES) return this.#lost("too_large");
    if (this.#bytes + one.size > this.#options.bufferBytes) return this.#lost("buffer_full");
    this.#published += 1;
    this.#waiting.push(one);
    this.#bytes += one.size;
    if (!this.#sending && this.#timer === undefined) this.#later(this.#options.lingerMs);
  }

  #lost(reason) { this.#published += 1; this.#drop(reason); }

  /** Count an exchange that a fault of this library has cost. */
  failed() { this.#lost("fault"); }

  #drop(reason, count = 1) { this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count; }

  #later(milliseconds) {
    this.#timer = after(milliseconds, () => { this.#timer = undefined; void this.#send(); });
    this.#timer.unref?.(); // a program that has nothing else to do may end: `beforeExit` sends what is left
  }

  #send() {
    if (this.#sending || !this.#waiting.length) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending = this.#sendBatch().catch(() => ({ pause: LONGEST_PAUSE })).then(({ pause, named = 0 }) => {
      this.#sending = undefined;
      this.#obeyed = Date.now() + named;
      if (this.#waiting.length) this.#later(pause);
      for (const wake of this.#wakers) wake();
    });
  }

  /** Send the oldest ones and settle the fate of each; how long to wait before the next. */
  async #sendBatch() {
    const batch = [];
    for (let size = 0; batch.length < Math.min(this.#most, this.#waiting.length); ) {
      size += this.#waiting[batch.length].size;
      if (batch.length && size > BATCH_BYTES) break;
      batch.push(this.#waiting[batch.length]);
    }
    const clean = batch.filter((one) => this.#mayGo(one));
    const outcome = clean.length ? await this.#post(clean) : { fates: [] };
    if (this.#waiting[0] !== batch[0]) return { pause: 0 }; // dropped meanwhile: the time at the end was over
    this.#waiting.splice(0, batch.length);
    let next = 0;
    const fates = batch.map((one) => (one.left ? outcome.fates[next++] : "redaction"));
    const again = batch.filter((_, i) => fates[i] === "again");
    this.#waiting.unshift(...again);
    batch.forEach((one, i) => {
      if (fates[i] === "again") return;
      this.#bytes -= one.size;
      if (fates[i] === "sent") this.#delivered += 1; else this.#drop(fates[i]);
    });
    if (outcome.tooMany) this.#most = Math.max(Math.floor(batch.length / 2), 1);
    if (!again.length) {
      [this.#failures, this.#most] = [0, Math.min(this.#most * 2, BATCH)];
      return { pause: 0 };
    }
    this.#tell(outcome.why);
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(this.#failures++, 10)) * (0.5 + Math.random() / 2);
    return { pause: Math.max(outcome.after ?? 0, pause), named: outcome.after };
  }

  /** Whether the redaction hook has seen it and left something; it sees each exchange once. */
  #mayGo(one) {
    if (one.left !== undefined) return one.left;
    one.left = true;
    if (this.#options.redact) {
      try {
        const given = JSON.parse(one.text);
        const { id, ts, route } = given; // no hook need give them back: without them it could not be sent
        const left = this.#options.redact(given);
        if (typeof left?.then === "function") ignored(left);
        if (left === null || typeof left !== "object" || Array.isArray(left) || typeof left.then === "function") throw new TypeError("nothing left");
        one.text = JSON.stringify({ ...left, id: left.id ?? id, ts: left.ts ?? ts, route: left.route ?? route });
        this.#bytes -= one.size - (one.size = sizeOf(one.text));
      } catch {
        one.left = false; // the text that it did not redact must not leave
      }
    }
    return one.left;
  }

  /** The fate of each of a batch. What is too much in one request is sent in halves. */
  async #post(batch) {
    const all = (fate, more = {}) => ({ fates: batch.map(() => fate), ...more });
    const { fetch, timeoutMs } = this.#options;
    const stop = (this.#stop = new AbortController());
    const timer = after(timeoutMs, () => stop.abort());
    let status, headers, text;
    try {
      const answer = await fetch(this.#url, {
        method: "POST", headers: this.#headers, body: batch.map((one) => one.text).join("\n"),
        redirect: "manual", signal: stop.signal,
      });
      ({ status, headers } = answer);
      text = await answer.text();
    } catch (error) {
      return all("again", { why: `no answer (${error?.name})` });
    } finally { clearTimeout(timer); }
    if (status === 202) return all("sent");
    const fates = [207, 403, 422, 503].includes(status) ? fatesOf(text, batch.length) : undefined;
    const more = { after: retryAfter(headers.get("retry-after")), why: `answer ${status}` };
    if (fates) return { fates, ...more };
    const ours = headers.get("content-type")?.startsWith("application/problem+json"); // a 422 of something else says nothing
    if (status === 413 || (status === 422 && ours)) return this.#halves(batch, status === 413 ? "too_large" : "invalid");
    return all("again", { ...more, tooMany: status === 429 });
  }

  async #halves(batch, alone) {
    if (batch.length === 1) return { fates: [alone] };
    const middle = Math.floor(batch.length / 2);
    const first = await this.#post(batch.slice(0, middle));
    if (first.fates.includes("again")) return { ...first, fates: [...first.fates, ...batch.slice(middle).map(() => "again")] };
    const second = await this.#post(batch.slice(middle));
    return { ...second, fates: [...first.fates, ...second.fates] };
  }

  #tell(why) {
    if (Date.now() - this.#toldAt < 60_000) return;
    this.#toldAt = Date.now();
    const text = `keelwatch-client: ${why}; not delivered: ${JSON.stringify(this.#dropped)}`;
    try { ignored(this.#options.log(text)); } catch { /* a log that fails is no reason to stop */ }
  }

  /** Wait until everything is delivered or dropped, at most so long. Whether it is. */
  async flush(milliseconds = 5_000) {
    const until = Date.now() + milliseconds;
    this.#failures = 0;
    while (this.#waiting.length && Date.now() < until) {
      if (this.#failures === 0 && Date.now() >= this.#obeyed) this.#send();
      await new Promise((resolve) => {
        const timer = after(Math.max(until - Date.now(), 0), wake);
        const wakers = this.#wakers.add(wake);
        function wake() { clearTimeout(timer); wakers.delete(wake); resolve(); }
      });
    }
    return !this.#waiting.length;
  }

  /** Send what is left for at most so long (`exitMs`), drop and count the rest, and take no more. */
  async close(milliseconds = this.#options.exitMs) {
    this.#closed = true;
    await this.flush(milliseconds);
    const left = this.#waiting.length;
    if (left) this.#drop("unsent", left);
    [this.#waiting, this.#bytes] = [[], 0];
    clearTimeout(this.#timer); this.#stop?.abort();
    globalThis.process?.off?.("beforeExit", this.#atExit);
    this.#toldAt = -Infinity;
    if (Object.keys(this.#dropped).length) this.#tell(`closed; of ${this.#published} exchanges`);
    return !left;
  }

  /** How many were published, delivered, dropped and why, and how much waits. */
  stats() {
    return {
      published: this.#published, delivered: this.#delivered, buffered: this.#waiting.length,
      bufferedBytes: this.#bytes, dropped: { ...this.#dropped },
    };
  }
}

/** Bytes of a text in UTF-8. */
const sizeOf = (text) => (globalThis.Buffer ? globalThis.Buffer.byteLength(text) : ENCODER.encode(text).length);

function fatesOf(text, count) {
  try {
    const results = JSON.parse(text).results.slice().sort((a, b) => a.index - b.index);
    const fates = results.map((one) => FATES[one.status]);
    return fates.length === count && fates.every(Boolean) ? fates : undefined;
  } catch { return undefined; }
}

/** Milliseconds the server asks to wait, given in seconds or as a date. */
function retryAfter(told) {
  if (!told) return undefined;
  const milliseconds = /^\d+$/.test(told.trim()) ? Number(told) * 1000 : Date.parse(told) - Date.now();
  return Number.isNaN(milliseconds) ? undefined : Math.min(Math.max(milliseconds, 0), LONGEST_RETRY_AFTER);
}

// ---- clients of models ------------------------------------------------------------------------------------------

const present = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
const some = (list) => (Array.isArray(list) && list.length ? [...list] : undefined);
const IS_TEXT = /text|tool|function|refusal|message|call/;

/** A part if it is text, a call or a result; of any other, also of reasoning, the type alone. */
function lightPart(part) {
  const kind = typeof part === "object" && part !== null ? String(part.type ?? "") : "text";
  if (kind === "tool_result") return withoutMedia(part);
  return !kind || IS_TEXT.test(kind) ? part : { type: kind };
}

function withoutMedia(message) {
  return Array.isArray(message?.content) ? { ...message, content: message.content.map(lightPart) } : message;
}

const messagesOf = (value) =>
  typeof value === "string" ? [{ role: "user", content: value }] : Array.isArray(value) ? value.map(withoutMedia) : [];

const chat = {
  request: (asked) => ({ prompt: messagesOf(asked.messages), tools: some(asked.tools), user: asked.safety_identifier ?? asked.user }),
  answers: (result) => result.choices.map((choice, i) => ({
    model: present({ served: result.model, fingerprint: result.system_fingerprint }),
    response: {
      content: choice.message.content ?? null,
      ...present({
        tool_calls: some(choice.message.tool_calls), refusal: choice.message.refusal, finish_reason: choice.finish_reason,
        audio: choice.message.audio ? true : undefined,
      }),
    },
    usage: i ? undefined : usageOf(result.usage?.prompt_tokens, result.usage?.completion_tokens),
  })),
  join: (chunks) => {
    const whole = { choices: [] };
    for (const chunk of chunks) {
      for (const name of ["model", "system_fingerprint", "usage"]) if (chunk[name]) whole[name] = chunk[name];
      for (const { index = 0, delta = {}, finish_reason } of chunk.choices ?? []) {
        const into = (whole.choices[index] ??= { message: { content: null, tool_calls: [] }, finish_reason: null });
        if (finish_reason) into.finish_reason = finish_reason;
        for (const name of ["content", "refusal"]) {
          if (typeof delta[name] === "string") into.message[name] = (into.message[name] ?? "") + delta[name];
        }
        for (const piece of delta.tool_calls ?? []) {
          const call = (into.message.tool_calls[piece.index ?? 0] ??= { type: "function", function: { name: "", arguments: "" } });
          if (piece.id) call.id = piece.id;
          call.function.name ||= piece.function?.name ?? "";
          call.function.arguments += piece.function?.arguments ?? "";
        }
      }
    }
    whole.choices = whole.choices.filter(Boolean);
    return whole;
  },
};

const responses = {
  request: (asked) => ({
    prompt: [
      ...(asked.instructions ? [{ role: "system", content: asked.instructions }] : []),
      ...(typeof asked.input === "string" ? messagesOf(asked.input) : (asked.input ?? []).map(turnOf).filter(Boolean)),
    ],
    conversation: asked.conversation?.id ?? asked.conversation,
    tools: some(asked.tools), user: asked.safety_identifier ?? asked.user,
  }),
  answers: (result) => [{
    model: present({ served: result.model }),
    response: present({
      content: result.output.map(lightPart), finish_reason: result.incomplete_details?.reason ?? result.status, error: result.error,
    }),
    usage: usageOf(result.usage?.input_tokens, result.usage?.output_tokens),
  }],
  join: (events) => {
    const end = events.find(({ type }) => ["response.completed", "response.incomplete", "response.failed"].includes(type));
    if (end) return end.response;
    const done = events.filter(({ type }) => type === "response.output_item.done");
    const last = events.lastIndexOf(done.at(-1));
    const text = events.slice(last + 1).filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta).join("");
    return {
      output: [...done.map(({ item }) => item), ...(text ? [{ type: "output_text", text }] : [])],
      model: events.find(({ type }) => type === "response.created")?.response.model,
    };
  },
};

/** An item of the input as a message; nothing for what is none, such as reasoning. */
function turnOf(item) {
  if (item.type === undefined || item.type === "message") return withoutMedia(item);
  if (item.type.endsWith("_call_output")) return { role: "tool", content: item.output, tool_call_id: item.call_id };
  return item.type.endsWith("_call") ? { role: "assistant", tool_calls: [item] } : undefined;
}

const messages = {
  request: (asked) => ({
    prompt: [...(asked.system ? [{ role: "system", content: asked.system }] : []), ...messagesOf(asked.messages)],
    tools: some(asked.tools), user: asked.metadata?.user_id,
  }),
  answers: (result) => [{
    model: present({ served: result.model }),
    response: present({ content: result.content.map(lightPart), finish_reason: result.stop_reason }),
    usage: usageOf(result.usage?.input_tokens, result.usage?.output_tokens),
  }],
  join: (events) => {
    const whole = { content: [], usage: {} };
    for (const { type, index, message, content_block: block, delta, usage } of events) {
      if (type === "message_start") Object.assign(whole, { model: message.model, usage: { ...message.usage } });
      else if (type === "content_block_start") whole.content[index] = { ...block, ...(block.type === "tool_use" ? { input: "" } : {}) };
      else if (type === "content_block_delta") {
        const into = whole.content[index];
        if (typeof delta.text === "string") into.text = (into.text ?? "") + delta.text;
        if (typeof delta.partial_json === "string") into.input += delta.partial_json;
      } else if (type === "message_delta") {
        whole.stop_reason = delta.stop_reason;
        Object.assign(whole.usage, usage);
      }
    }
    whole.content = whole.content.filter(Boolean);
    return whole;
  },
};

function usageOf(input, output) {
  const found = present({ input_tokens: input, output_tokens: output });
  return Object.keys(found).length ? found : undefined;
}

const RESOURCES = { "chat.completions": chat, "beta.chat.completions": chat, responses, messages, "beta.messages": messages };
const PROVIDERS = { "api.openai.com": "openai", "openai.azure.com": "azure", "api.anthropic.com": "anthropic" };

/** The same client, whose calls of `create` and `parse` are published. The client that is given stays as it is. */
export function wrap(client, publisher, options = {}) {
  if (!client?.chat && !client?.responses && !client?.messages) {
    throw new TypeError("client: must be one of openai or @anthropic-ai/sdk; use publisher.publish for others");
  }
  checkedRoute(options.route);
  let host;
  try { host = new URL(client.baseURL).host; } catch { /* it has no address */ }
  const known = Object.entries(PROVIDERS).find(([end]) => host === end || host?.endsWith(`.${end}`))?.[1];
  const { provider = known, ...common } = options;
  return resource(client, "", publisher, { ...common, model: present({ provider, endpoint: host }) }, options);
}

function resource(inner, path, publisher, common, options) {
  return new Proxy(inner, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      const here = path ? `${path}.${String(name)}` : String(name);
      if (RESOURCES[path] && (name === "create" || name === "parse")) {
        return (...args) => recorded(() => value.apply(target, args), RESOURCES[path], args[0] ?? {}, publisher, common);
      }
      if (Object.keys(RESOURCES).some((known) => `${known}.`.startsWith(`${here}.`)) && value) {
        return resource(value, here, publisher, common, options);
      }
      if (!path && name === "withOptions") return (...args) => wrap(value.apply(target, args), publisher, options);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Call the model, and publish what comes of it: the answer, the error, or the stream once it is read. */
function recorded(work, form, asked, publisher, common) {
  const call = begin(form, asked, publisher, common);
  let promise;
  try { promise = work(); } catch (error) { call.failed(error); throw error; }
  if (typeof promise?.then !== "function") return promise;
  // The library's own promise is given back, with its methods; only what it resolves to is looked at.
  return new Proxy(promise, {
    get(target, name) {
      const failed = (error) => { call.failed(error); throw error; };
      if (name === "then") return (kept, broken) => target.then(call.returned, failed).then(kept, broken);
      if (name === "catch") return (broken) => this.get(target, "then")(undefined, broken);
      if (name === "finally") return (last) => this.get(target, "then")((value) => value).finally(last);
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function begin(form, asked, publisher, common) {
  const started = performance.now();
  const ts = new Date().toISOString();
  let ended = false;
  const quietly = (work) => { try { return work(); } catch { publisher.failed(); return undefined; } };
  const request = quietly(() => ({ ...form.request(asked), model: { requested: String(asked.model ?? "") } }));
  const publish = (answers) => {
    if (ended || !request) return;
    ended = true;
    const latency_ms = performance.now() - started;
    for (const one of answers()) {
      const model = { ...common.model, ...request.model, ...one.model };
      publisher.publish({ ...present(request), ...common, ...present(one), model, ts, latency_ms });
    }
  };
  const failed = (error) => quietly(() => publish(() => [{ response: { error: errorOf(error) } }]));
  const streamed = (chunks, whole, error) => quietly(() => publish(() => {
    const answers = form.answers(form.join(chunks));
    if (error) return [{ ...answers[0], response: { ...answers[0]?.response, error: errorOf(error) } }];
    if (whole) return answers;
    // Nobody read to the end: an empty answer would count as a refusal.
    const begun = answers.filter(({ response: r }) => r.content?.length || r.tool_calls || r.refusal);
    for (const { response } of begun) response.finish_reason ??= "cancelled";
    return begun;
  }));
  const returned = (result) => {
    if (typeof result?.[Symbol.asyncIterator] === "function") return readStream(result, streamed);
    quietly(() => publish(() => form.answers(result)));
    return result;
  };
  return { failed, returned };
}

/** A stream of a library, recorded as it is read. */
function readStream(stream, streamed) {
  return new Proxy(stream, {
    get(target, name) {
      if (name !== Symbol.asyncIterator) {
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      }
      return async function* read() {
        const chunks = [];
        let whole = false;
        try {
          for await (const chunk of target) { chunks.push(chunk); yield chunk; }
          whole = !target.controller?.signal?.aborted; // the libraries end an aborted one as if it were whole
        } catch (error) { streamed(chunks, false, error); throw error; } finally { streamed(chunks, whole); }
      };
    },
  });
}

function errorOf(error) {
  const told = error?.error?.error ?? error?.error ?? {};
  return present({
    type: told.type ?? error?.name, code: told.code ?? error?.code ?? error?.status, status: error?.status,
    message: String(error?.message ?? error).slice(0, 4_000),
  });
}
