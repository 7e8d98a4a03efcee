// @ts-check
// Loads a part of the page when it is needed.

/** A request that failed on a poor line is repeated once after this time. */
const PAUSE_MS = 1000;

/**
 * @template T
 * @param {() => Promise<T>} load an `import()`
 * @returns {Promise<T>}
 */
export async function part(load) {
  try {
    return await load();
  } catch {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    return load();
  }
}
