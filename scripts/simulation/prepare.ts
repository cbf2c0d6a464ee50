// In this order: what everyone further down takes from Node is virtual.
import './refuseProduction';
import './virtualTime';

import { plantedBugs } from '../planted';
import { substituteSurroundings } from './substitutes';

// Makes this process a simulation before anything of the product is loaded. `--planted name` breaks the product on purpose;
// what is no name of a bug is refused later, with all the other options.
substituteSurroundings();

const at = process.argv.indexOf('--planted');
const planted = at < 0 ? undefined : process.argv[at + 1];
if (planted !== undefined && Object.hasOwn(plantedBugs, planted)) plantedBugs[planted]!.plant();
