/** The key of a call that places many orders, and which of them this is. */
export interface CallKey {
  key: string;
  index: number;
}

/** How many orders one call may place. */
export const ORDERS_PER_CALL_MAX = 100;

/** A caller's own key is no longer. */
export const KEY_LENGTH_MAX = 200;

/**
 * The key that an order is kept under. One key for many orders makes a key for each of them, `key#0`, `key#1`, …; somebody may have
 * chosen such a key for an order of its own, and that one is kept longer than any key may be, so that no two wishes meet under one key.
 */
export function storedKey(idempotencyKey: string | null | undefined, callKey?: CallKey): string | null {
  if (idempotencyKey == null) return callKey ? `${callKey.key}#${callKey.index}` : null;
  return looksLikeOneOfMany.test(idempotencyKey) ? `${idempotencyKey.padEnd(KEY_LENGTH_MAX)}#` : idempotencyKey;
}

/** The key as its caller knows it. */
export function callersKey(stored: string): string {
  return stored.length > KEY_LENGTH_MAX && stored.endsWith('#') ? stored.slice(0, -1).trimEnd() : stored;
}

const looksLikeOneOfMany = /^[\x21-\x7e]+#\d{1,2}$/;
