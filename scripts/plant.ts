import { plantedBugs } from './planted';

/** Loaded before Holdfast, it puts the bug named by PLANTED into this process. Production refuses it. */
const name = process.env.PLANTED ?? '';
const bug = Object.hasOwn(plantedBugs, name) ? plantedBugs[name] : undefined;
if (process.env.NODE_ENV === 'production' || !bug) {
  process.stderr.write(
    bug ? 'PLANTED is for tests: it is refused with NODE_ENV=production.\n' : `PLANTED=${name}: there is no such bug.\n`,
  );
  process.exit(64);
}
bug.plant();
