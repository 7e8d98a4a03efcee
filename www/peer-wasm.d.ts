// What wasm-bindgen makes of peer-wasm/src/lib.rs, as far as worker.js uses it.

export default function init(options: { module_or_path: Promise<Response | WebAssembly.Module> }): Promise<unknown>;

export function start(wishes: string, socket: WebSocket | undefined, manifest: Promise<Response>): Session;

export class Session {
  handle(data: unknown): void;
}
