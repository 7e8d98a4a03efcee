// What wasm-bindgen makes of peer-wasm/src/lib.rs, as far as worker.js uses it.

export default function init(options: { module_or_path: Promise<Response> }): Promise<unknown>;

export function start(
  swarm: string,
  time: string | undefined,
  token: string | undefined,
  socket: WebSocket,
  manifest: Promise<Response>,
  isReload: boolean,
): Session;

export class Session {
  handle(data: unknown): void;
}
