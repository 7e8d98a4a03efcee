// @ts-check
// Carries frames between a data channel that must stay in the window and the peer's worker, where the
// browser cannot transfer channels. The other end is `Relayed` in peer-wasm/src/channel.rs.

/**
 * @param {RTCDataChannel} channel
 * @returns {MessagePort} the end for the worker
 */
export function relay(channel) {
  const { port1: port, port2 } = new MessageChannel();
  let seen = 0;
  /** @param {"open" | "closed" | "drained" | "taken"} state */
  const report = (state) => port.postMessage({ state, buffered: channel.bufferedAmount, seen });

  channel.binaryType = "arraybuffer";
  channel.onopen = () => report("open");
  channel.onclose = () => report("closed");
  channel.onbufferedamountlow = () => report("drained");
  channel.onmessage = ({ data }) => {
    const frame = data instanceof ArrayBuffer ? data : new ArrayBuffer(0);
    port.postMessage(frame, [frame]);
  };
  port.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) {
      seen += data.byteLength;
      try {
        channel.send(data);
      } catch {
        return report("closed");
      }
      // The browser tells only of falling to the mark; what never rose above it is told here.
      report(channel.bufferedAmount <= channel.bufferedAmountLowThreshold ? "drained" : "taken");
    } else if (typeof data.low === "number") {
      channel.bufferedAmountLowThreshold = data.low;
    } else if (data.close) {
      channel.close();
      port.close();
    }
  };
  if (channel.readyState === "open") report("open");
  return port2;
}
