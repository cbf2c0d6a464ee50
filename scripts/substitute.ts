import Module from 'node:module';

/** What takes the place of some exports of a module, made from what it really exports. */
export type Substitution<Exports> = (original: Exports) => Partial<Exports>;

/**
 * From now on whoever loads `file` gets these exports in place of its own; the others stay as they are. For tests of the program
 * as a whole, which need one part of it to be another: it works on compiled and on source files alike, and patches no module.
 *
 * Call it before anything that uses the file is loaded. Substitutions of one file build on one another, in the order of the calls.
 *
 * @param file from the root of the project and without ending, as in `src/orders/order`; or a module of Node, as in `timers`
 */
export function substitute<Exports extends object>(file: string, replace: Substitution<Exports>): void {
  if (process.env.NODE_ENV === 'production') throw new Error(`${file} is not substituted in production.`);
  if (substitutions.size === 0) loader._load = loadSubstituted;
  const before = substitutions.get(file) ?? ((original: object) => original);
  substitutions.set(file, (original) => {
    const exported = before(original) as Exports;
    return { ...exported, ...replace(exported) };
  });
  made.clear();
}

/** The two functions of Node's loader that every `require` passes. */
interface Loader {
  _load(request: string, parent: unknown, isMain: boolean): object;
  _resolveFilename(request: string, parent: unknown, isMain: boolean): string;
}

const loader = Module as unknown as Loader;
const load = loader._load.bind(Module);
const substitutions = new Map<string, (original: object) => object>();
/** One substitute per module, however many load it. */
const made = new Map<string, object>();

function loadSubstituted(request: string, parent: unknown, isMain: boolean): object {
  const original = load(request, parent, isMain);
  const file = nameOf(loader._resolveFilename(request, parent, isMain));
  const replace = substitutions.get(file);
  if (!replace) return original;
  if (!made.has(file)) made.set(file, replace(original));
  return made.get(file)!;
}

/** `/anywhere/dist/src/orders/order.js` is `src/orders/order`, and `node:timers` is `timers`. */
function nameOf(filename: string): string {
  if (!filename.startsWith(root)) return filename.replace(/^node:/, '');
  return filename
    .slice(root.length + 1)
    .replaceAll('\\', '/')
    .replace(/\.[jt]s$/, '');
}

/** The folder that holds `scripts` and `src`, compiled or not. */
const root = __dirname.replace(/[\\/]scripts$/, '');
