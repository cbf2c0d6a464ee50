import { Kind, visit, type DocumentNode, type FieldNode, type FragmentDefinitionNode, type SelectionSetNode } from 'graphql';

export interface ShapeLimits {
  /** Fields inside one another. */
  depthMax: number;
  /** Fields under another name, in the whole document. */
  aliasesMax: number;
  /** How often one field may stand in the whole document, and spreads of fragments, all of them together. */
  repeatsMax: number;
}

/**
 * What is wrong with the shape of a document, as a sentence; undefined when nothing is. It is for before the document is validated,
 * and takes time by its length: whether fields of one name go together is found by comparing each with each other, which takes the
 * square of them, and so it is with fragments.
 */
export function shapeFault(document: DocumentNode, { depthMax, aliasesMax, repeatsMax }: ShapeLimits): string | undefined {
  const { aliases, spreads, most } = countSelections(document);
  if (aliases > aliasesMax) return `The document has ${aliases} aliases; at most ${aliasesMax} are taken. Send several requests.`;
  const depth = depthOf(document);
  if (depth > depthMax) return `The document is ${depth} fields deep; at most ${depthMax} are taken.`;
  if (most.times > repeatsMax)
    return `The document asks for ${most.name.slice(0, 50)} ${most.times} times; at most ${repeatsMax} are taken. Send several requests.`;
  if (spreads > repeatsMax) return `The document spreads fragments ${spreads} times; at most ${repeatsMax} are taken.`;
  return undefined;
}

function countSelections(document: DocumentNode) {
  let aliases = 0;
  let spreads = 0;
  let most = { name: '', times: 0 };
  const timesOf = new Map<string, number>();
  const count = ({ alias, name }: FieldNode) => {
    if (alias) aliases++;
    const answered = (alias ?? name).value;
    const times = (timesOf.get(answered) ?? 0) + 1;
    timesOf.set(answered, times);
    if (times > most.times) most = { name: answered, times };
  };
  visit(document, { Field: count, FragmentSpread: () => void spreads++ });
  return { aliases, spreads, most };
}

function depthOf({ definitions }: DocumentNode): number {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const known = new Map<string, number>();

  const inside = ({ selections }: SelectionSetNode): number => {
    let deepest = 0;
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD)
        deepest = Math.max(deepest, 1 + (selection.selectionSet ? inside(selection.selectionSet) : 0));
      else if (selection.kind === Kind.INLINE_FRAGMENT) deepest = Math.max(deepest, inside(selection.selectionSet));
      else deepest = Math.max(deepest, ofFragment(selection.name.value));
    }
    return deepest;
  };
  const ofFragment = (name: string): number => {
    const before = known.get(name);
    const definition = fragments.get(name);
    if (before !== undefined || !definition) return before ?? 0;
    // Those who lead in a circle are refused by the validation that follows.
    known.set(name, 0);
    const depth = inside(definition.selectionSet);
    known.set(name, depth);
    return depth;
  };

  const operations = definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  return Math.max(0, ...operations.map(({ selectionSet }) => inside(selectionSet)));
}
