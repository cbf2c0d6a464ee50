import { type ASTNode, BREAK, type GraphQLError, Kind, parse, visit } from 'graphql';

export interface InputFault {
  /** Such as `input.items[0].quantity`; absent when it cannot be told. */
  field?: string;
  /** Names the field and what is wrong with it. */
  message: string;
}

/** Which value of a request does not fit its type, when that is what an error says: in a variable, or written in the document. */
export function inputFault(error: GraphQLError): InputFault | undefined {
  const node = error.nodes?.[0];
  if (node?.kind === Kind.VARIABLE_DEFINITION) return variableFault(error, node.variable.name.value);
  if (node !== undefined && valueKinds.has(node.kind)) return literalFault(error, node);
  return undefined;
}

const valueKinds = new Set<string>([
  Kind.INT,
  Kind.FLOAT,
  Kind.STRING,
  Kind.BOOLEAN,
  Kind.NULL,
  Kind.ENUM,
  Kind.LIST,
  Kind.OBJECT,
  Kind.OBJECT_FIELD,
]);

/** graphql-js writes `Variable "$input" got invalid value … at "input.items[0]"; <reason>`, and gives the reason as the original. */
function variableFault(error: GraphQLError, variable: string): InputFault {
  const reason = error.originalError?.message ?? error.message;
  const before = error.message.endsWith(`; ${reason}`) ? error.message.slice(0, -reason.length - 2) : '';
  const field = / at "([^"]*)"$/.exec(before)?.[1] ?? variable;
  return faultOf(field + memberNamed(/^Field "(\w+)" (?:is not defined by|of required) type/, reason), reason);
}

function literalFault(error: GraphQLError, node: ASTNode): InputFault | undefined {
  const field = pathOf(node);
  if (field === '') return undefined;
  return faultOf(field + memberNamed(/^Field "\w+\.(\w+)" of required type/, error.message), error.message);
}

/** An error about a missing or unknown member stands at the object; the member is only named in the text. */
function memberNamed(pattern: RegExp, reason: string): string {
  const member = pattern.exec(reason)?.[1];
  return member === undefined ? '' : `.${member}`;
}

function faultOf(field: string, reason: string): InputFault {
  return { field, message: `${field}: ${reason}` };
}

/** An AST node does not know where it hangs, so its document is walked once more; only errors pay for that. */
function pathOf({ kind, loc }: ASTNode): string {
  if (loc === undefined) return '';
  let found = '';
  const document = parse(loc.source);
  visit(document, {
    enter(candidate, _key, _parent, path) {
      if (candidate.kind !== kind || candidate.loc?.start !== loc.start) return undefined;
      found = fieldAt(document, path);
      return BREAK;
    },
  });
  return found;
}

function fieldAt(document: ASTNode, path: readonly (string | number)[]): string {
  let field = '';
  let current: unknown = document;
  let previous: string | number = '';
  for (const step of path) {
    current = (current as Record<string | number, unknown>)[step];
    const node = current as ASTNode;
    if (node.kind === Kind.ARGUMENT) field = node.name.value;
    else if (node.kind === Kind.OBJECT_FIELD) field += `.${node.name.value}`;
    else if (previous === 'values') field += `[${step}]`;
    previous = step;
  }
  return field;
}
