/** What never reaches a log. The one list: a new secret is added here and is hidden everywhere. */
export const redactedPaths = ['authorization', 'cookie', 'password', 'secret', 'token', 'apiKey'].flatMap((key) => [
  key,
  `*.${key}`,
  `*.*.${key}`,
]);

/**
 * For every text that leaves the process for people or a log: without the passwords of URLs, without tokens and webhook secrets
 * whatever they stand in, and without the secrets that this process was told of. Safe on a line of JSON, which stays JSON.
 */
export function redacted(text: string): string {
  let shown = redactUrl(text).replace(tokens, '***').replace(webhookSecrets, 'whsec_***');
  for (const secret of secrets) if (shown.includes(secret)) shown = shown.replaceAll(secret, '***');
  return shown;
}

/** From now on these are hidden wherever they stand. Short ones are only hidden where they stand as a password: they may be words. */
export function hideSecrets(values: Iterable<string | undefined>): void {
  for (const value of values) {
    if (value === undefined || value.length < SECRET_LENGTH_MIN) continue;
    for (const form of [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)]) secrets.add(form);
  }
}

const secrets = new Set<string>();
const SECRET_LENGTH_MIN = 12;

/** Signed tokens, and whatever is shown as a bearer's or by name and password. */
const tokens = /\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]{4,}|(?<=\b(?:bearer|basic)\s)[\w.~+/=-]{16,}/gi;
const webhookSecrets = /whsec_[\w+/=-]{8,}/g;

/**
 * Hides the passwords of all URLs in a text, such as a DSN in a driver's error: `amqp://shop:***@host`. When it is unclear where
 * a password ends, more is hidden rather than less. Safe on a line of JSON, which stays JSON.
 */
export function redactUrl(text: string): string {
  if (!text.includes('://')) return text;
  const isList = text.includes(',amqp');
  return text.replace(isList ? userinfoInList : userinfo, '$1:***@').replace(passwordParameter, '$1***');
}

/** A password may itself hold `@`, `:` or `/`, so it ends at the last `@` of its word. The bound keeps the match linear. */
const userinfo = /(:\/\/[^\s:@/"\\]{0,256}):(?:[^\s"\\]|\\.){0,1024}@/g;
/** In a list of RabbitMQ nodes it ends before the next of them, where there is an `@` before. */
const userinfoInList = /(:\/\/[^\s:@/"\\]{0,256}):(?:(?:(?!,amqps?:\/\/)(?:[^\s"\\]|\\.)){0,1024}|(?:[^\s"\\]|\\.){0,1024})@/g;
const passwordParameter = /([?&](?:ssl)?password=)[^&\s"\\]+/gi;
