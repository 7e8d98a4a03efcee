// @ts-check
// Numbers, sizes and times as people read them in the viewer's language.

import { language } from "./language.js";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** Units of a time span, the largest first, with their seconds. @type {["hour" | "minute" | "second", number][]} */
const SPANS = [["hour", 3600], ["minute", 60], ["second", 1]];

/**
 * @param {number} value
 * @param {Intl.NumberFormatOptions} [options]
 */
function number(value, options) {
  return new Intl.NumberFormat(language.locale, options).format(value);
}

/**
 * Three digits of a value in its unit.
 * @param {number} value
 * @param {string} unit
 */
function measured(value, unit) {
  const digits = value >= 100 || unit === "byte" ? 0 : value >= 10 ? 1 : 2;
  return number(value, {
    style: "unit", unit, unitDisplay: unit === "byte" ? "long" : "short", minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  return measured(bytes / 1000 ** power, UNITS[power] ?? "byte");
}

/** @param {number} bytesPerSecond */
export function formatRate(bytesPerSecond) {
  if (bytesPerSecond < 1) return "–";
  const power = bytesPerSecond < 1e6 ? 1 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytesPerSecond) / 3));
  return measured(bytesPerSecond / 1000 ** power, `${UNITS[power]}-per-second`);
}

/**
 * Bits a second, in Mbit/s without the unit.
 * @param {number} bps
 */
export function formatMegabits(bps) {
  return number(bps / 1e6, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

/** @param {number} ms */
export function formatMs(ms) {
  return number(ms, { style: "unit", unit: "millisecond", unitDisplay: "short" });
}

/**
 * A place in a film, as players write it in every language.
 * @param {number} ms
 */
export function formatDuration(ms) {
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const tail = String(seconds % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/**
 * A span of time in words.
 * @param {number} ms
 */
export function formatSpan(ms) {
  let rest = Math.max(Math.round(ms / 1000), 0);
  /** @type {[string, number][]} */
  const parts = [];
  for (const [unit, seconds] of SPANS) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0 || (unit === "second" && parts.length === 0)) parts.push([unit, count]);
  }
  const { DurationFormat } = /** @type {{DurationFormat?: new (locale: string, options: object) => {format: (parts: object) => string}}} */ (
    /** @type {unknown} */ (Intl));
  const words = parts.map(([unit, count]) => number(count, { style: "unit", unit, unitDisplay: "long" }));
  if (!DurationFormat) return new Intl.ListFormat(language.locale, { type: "unit" }).format(words);
  // A span of nothing has no unit that is shown by itself.
  if (parts.length === 1 && parts[0]?.[1] === 0) return words[0] ?? "";
  return new DurationFormat(language.locale, { style: "long" }).format(Object.fromEntries(parts.map(([unit, count]) => [`${unit}s`, count])));
}

/**
 * How long ago something was, in words.
 * @param {number} ms
 */
export function formatAgo(ms) {
  const seconds = Math.max(Math.round(ms / 1000), 0);
  const [unit, each] = SPANS.find(([, each]) => seconds >= each) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(language.locale, { numeric: "always", style: "short" }).format(-Math.floor(seconds / each), unit);
}

/** The word for this moment. */
export function formatNow() {
  return new Intl.RelativeTimeFormat(language.locale, { numeric: "auto" }).format(0, "second");
}

/**
 * A share of something; 100 % only if it is all.
 * @param {number} share from 0 to 1
 */
export function formatShare(share) {
  return number(Math.floor(share * 100) / 100, { style: "percent" });
}
