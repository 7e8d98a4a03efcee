// @ts-check
// Numbers as people read them.

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** @param {number} bytes */
export function formatBytes(bytes) {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${UNITS[power]}`;
}

/** @param {number} bytesPerSecond */
export function formatRate(bytesPerSecond) {
  return bytesPerSecond < 1 ? "–" : `${formatBytes(bytesPerSecond)}/s`;
}

/** @param {number} ms */
export function formatDuration(ms) {
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const tail = String(seconds % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/**
 * A share of something; 100 % only if it is all.
 * @param {number} share from 0 to 1
 */
export function formatShare(share) {
  return `${Math.floor(share * 100)} %`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
export function formatCount(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}
