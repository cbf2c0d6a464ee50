import { type Client, type Dispatcher } from 'undici';

export interface Answered {
  /** How many orders the answer names. */
  orders: number;
  /** What the answer said when it named none. */
  fault?: string;
  /** There was no answer at all. */
  isBroken: boolean;
}

/** One connection with one request at a time, through undici's lowest door: no stream, no JSON, one object for all requests. */
export class Caller implements Dispatcher.DispatchHandler {
  private readonly headers: Record<string, string>;
  private status = 0;
  private body: Buffer = nothing;
  private done: (answered: Answered) => void = () => undefined;

  constructor(
    private readonly client: Client,
    private readonly path: string,
    authorization?: string,
  ) {
    this.headers = authorization === undefined ? json : { ...json, authorization };
  }

  ask(body: string): Promise<Answered> {
    return new Promise((resolve) => {
      this.done = resolve;
      this.client.dispatch({ method: 'POST', path: this.path, headers: this.headers, body }, this);
    });
  }

  onRequestStart(): void {
    this.body = nothing;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number): void {
    this.status = status;
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.body = this.body.length === 0 ? chunk : Buffer.concat([this.body, chunk]);
  }

  onResponseEnd(): void {
    const orders = this.status === 200 ? occurrences(this.body, ORDER_ID) : 0;
    const fault = orders === 0 ? `${this.status} ${this.body.toString().slice(0, 300)}` : undefined;
    this.done({ orders, fault, isBroken: false });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.done({ orders: 0, fault: error.message, isBroken: true });
  }

  close(): Promise<void> {
    return this.client.destroy();
  }
}

const json = { 'content-type': 'application/json' };
const nothing = Buffer.alloc(0);
const ORDER_ID = Buffer.from('"id":"ORD-');

function occurrences(text: Buffer, word: Buffer): number {
  let count = 0;
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + word.length)) count++;
  return count;
}
