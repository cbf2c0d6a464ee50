import { createHmac } from 'node:crypto';

/**
 * What `webhook-signature` says, after Standard Webhooks: `v1,` and the HMAC-SHA256, in base64, of `<id>.<timestamp>.<body>`. The
 * receiver reckons the same over what it got, and refuses a timestamp that is too old: then nobody can replay what was overheard.
 */
export function signatureOf(secret: string, id: string, timestamp: number, body: string): string {
  return `v1,${createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** `whsec_` and 24 to 64 bytes in base64, as Standard Webhooks has it. */
export function isSecret(text: string): boolean {
  if (!/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(text)) return false;
  const { length } = keyOf(text);
  return length >= 24 && length <= 64;
}

export function secretOf(key: Buffer): string {
  return `whsec_${key.toString('base64')}`;
}

function keyOf(secret: string): Buffer {
  return Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
}
