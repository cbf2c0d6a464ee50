import { Kind, visit, type DocumentNode, type FragmentDefinitionNode, type SelectionSetNode } from 'graphql';

export interface ShapeLimits {
  /** Fields inside one another. */
  depthMax: number;
  /** Fields under another name, in the whole document. */
  aliasesMax: number;
}

/**
 * What is wrong with the shape of a document, as a sentence; undefined when nothing is. The cost would find most of it, too; this says
 * what it is about. The document is validated, so its fragments lead in no circle; each is looked at once.
 */
export function shapeFault(document: DocumentNode, { depthMax, aliasesMax }: ShapeLimits): string | undefined {
  const aliases = countAliases(document);
  if (aliases > aliasesMax) return `The document has ${aliases} aliases; at most ${aliasesMax} are taken. Send several requests.`;
  const depth = depthOf(document);
  return depth > depthMax ? `The document is ${depth} fields deep; at most ${depthMax} are taken.` : undefined;
}

function countAliases(document: DocumentNode): number {
  let aliases = 0;
  visit(document, { Field: ({ alias }) => void (alias && aliases++) });
  return aliases;
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
    const depth = inside(definition.selectionSet);
    known.set(name, depth);
    return depth;
  };

  const operations = definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  return Math.max(0, ...operations.map(({ selectionSet }) => inside(selectionSet)));
}
