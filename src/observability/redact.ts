/** What never reaches a log. The one list: a new secret is added here and is hidden everywhere. */
export const redactedPaths = ['authorization', 'cookie', 'password', 'secret', 'token', 'apiKey'].flatMap((key) => [
  key,
  `*.${key}`,
  `*.*.${key}`,
]);

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
