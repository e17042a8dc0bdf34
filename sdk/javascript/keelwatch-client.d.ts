/** A part of a message, as vendors send them. */
export type Part = Record<string, unknown>;

/** One message of a prompt. */
export interface Message {
  role: string;
  content?: string | Part[] | null;
  [field: string]: unknown;
}

/** An answer in structured form. */
export interface Answer {
  content?: string | Part[] | null;
  tool_calls?: unknown[];
  finish_reason?: string;
  refusal?: string;
  error?: unknown;
  [field: string]: unknown;
}

/** One prompt and its response, in Keelwatch's native form. `id`, `ts` and `route` are filled in when missing. */
export interface Exchange {
  id?: string;
  ts?: string;
  route?: string;
  conversation?: string;
  user?: string;
  model: {
    requested: string;
    provider?: string;
    served?: string;
    fingerprint?: string;
    endpoint?: string;
    system_prompt_sha256?: string;
    tools_sha256?: string;
    guardrails_sha256?: string;
  };
  prompt: string | Message[];
  response: string | Answer;
  usage?: { input_tokens?: number; output_tokens?: number };
  latency_ms?: number;
  guardrails?: { name: string; outcome: "pass" | "modified" | "blocked" }[];
  tools?: unknown[];
  documents?: unknown[];
  tags?: Record<string, string | number | boolean | null>;
  extra?: Record<string, unknown>;
}

/** Why an exchange is not delivered. */
export type DropReason =
  | "buffer_full"
  | "too_large"
  | "not_json"
  | "redaction"
  | "invalid"
  | "forbidden"
  | "refused"
  | "closed"
  | "unsent"
  | "fault";

/** `published` is delivered, buffered and dropped together. */
export interface PublisherStats {
  published: number;
  delivered: number;
  buffered: number;
  bufferedBytes: number;
  dropped: Partial<Record<DropReason, number>>;
}

export interface PublisherOptions {
  /** Address of Keelwatch's API; else KEELWATCH_API_URL, else http://127.0.0.1:8400. */
  url?: string;
  /** API key of the role `ingest`; else KEELWATCH_API_KEY. */
  key?: string;
  /** Of exchanges that name no other. */
  route?: string;
  /** Sees each exchange before it is sent, and returns what may leave, or null. When it throws, or returns a list or a
   *  promise, the exchange is dropped. `id`, `ts` and `route` are put back where it left them out. */
  redact?: (exchange: Exchange) => Exchange | null;
  bufferExchanges?: number;
  bufferBytes?: number;
  lingerMs?: number;
  exitMs?: number;
  timeoutMs?: number;
  fetch?: typeof fetch;
  log?: (text: string) => void;
}

/** Takes exchanges, keeps a bounded number of them, and sends them in the background. */
export class Publisher {
  /** Throws TypeError if the address, the key or the route is none. */
  constructor(options?: PublisherOptions);
  /** Never waits, never throws. */
  publish(exchange: Exchange): void;
  /** Whether everything was delivered or dropped within so many milliseconds. */
  flush(milliseconds?: number): Promise<boolean>;
  /** Sends what is left for so long, drops and counts the rest, and takes no more. */
  close(milliseconds?: number): Promise<boolean>;
  stats(): PublisherStats;
  /** Counts an exchange that a fault of this library has cost. */
  failed(): void;
}

export interface WrapOptions {
  route?: string;
  provider?: string;
  conversation?: string;
  user?: string;
  tags?: Exchange["tags"];
}

/** A client of `openai` or `@anthropic-ai/sdk` whose calls of `create` and `parse` are published. */
export function wrap<C extends object>(client: C, publisher: Publisher, options?: WrapOptions): C;
