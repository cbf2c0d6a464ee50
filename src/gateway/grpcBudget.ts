import { GrpcRefusal } from '../grpc';

/**
 * The same refusal, so short that every client takes it. A refusal travels in headers, and of those clients take as little as 8 KB in
 * all; more than 64 KB nobody can send, and the attempt holds up every call of the connection. What is left out is counted in the
 * message.
 */
export function fitForHeaders({ status, code, message, more }: GrpcRefusal): GrpcRefusal {
  const fields = (more.fields ?? []).map(withShortTexts);
  const violations = (more.violations ?? []).map(withShortTexts);
  const left = { bytes: LIST_BYTES_MAX };
  const [namedFields, namedViolations] = [firstOf(fields, left), firstOf(violations, left)];
  const [named, all] = [namedFields.length + namedViolations.length, fields.length + violations.length];
  const cut = named < all ? ` Of ${all} faults the details name the first ${named}.` : '';
  const facts = withShortTexts(more.facts ?? {});
  const told = shortened(message, MESSAGE_BYTES_MAX - cut.length, percentEncoded) + cut;
  return new GrpcRefusal(status, code, told, { ...more, fields: namedFields, violations: namedViolations, facts });
}

/** As it stands in `grpc-message`; it stands in the details, too. */
const MESSAGE_BYTES_MAX = 1_000;
/** All faults of a refusal together. Base64 makes four thirds of it. */
const LIST_BYTES_MAX = 2_000;
/** One of their texts, or one fact: as long as the longest id of an order. */
const TEXT_BYTES_MAX = 600;
/** What a fault needs beside its texts: tags and lengths. */
const FRAME_BYTES = 10;

function withShortTexts<Texts extends object>(texts: Texts): Texts {
  const shorter = ([name, text]: [string, unknown]) => [name, shortened(String(text), TEXT_BYTES_MAX, utf8)];
  return Object.fromEntries(Object.entries(texts).map(shorter)) as Texts;
}

/** As many from the first on as there is room for. */
function firstOf<Fault extends object>(faults: Fault[], left: { bytes: number }): Fault[] {
  const end = faults.findIndex((fault) => (left.bytes -= bytesOf(fault)) < 0);
  return end === -1 ? faults : faults.slice(0, end);
}

function bytesOf(fault: object): number {
  return Object.values(fault).reduce<number>((sum, text) => sum + Buffer.byteLength(String(text)), FRAME_BYTES);
}

/** Cut between two characters, never inside one. */
function shortened(given: string, bytesMax: number, bytesOf: (text: string) => number): string {
  const text = given.length > bytesMax ? given.slice(0, bytesMax).toWellFormed() : given.toWellFormed();
  if (text === given && bytesOf(text) <= bytesMax) return text;
  let bytes = bytesOf('…');
  let kept = '';
  for (const character of text) {
    bytes += bytesOf(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return `${kept}…`;
}

function utf8(text: string): number {
  return Buffer.byteLength(text);
}

/** How gRPC writes a message into its header. */
function percentEncoded(text: string): number {
  return encodeURI(text).length;
}
