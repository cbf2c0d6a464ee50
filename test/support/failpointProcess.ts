import { armFailpoints, failpoint, failpointAfterSending } from '../../src/faults';

/** Passes a failpoint again and again and counts on stdout: `node runTypeScript.cjs failpointProcess.ts <FAIL> <how>`. */
async function main(): Promise<void> {
  const [fail = '', how] = process.argv.slice(2);
  armFailpoints({ FAIL: fail });
  for (let count = 1; count <= 5; count++) {
    if (how === 'after sending') {
      process.stdout.write(`${count}\n`);
      failpointAfterSending('relay.published');
      await new Promise((resolve) => setTimeout(resolve, 20));
    } else {
      failpoint('relay.confirmed');
      process.stdout.write(how === 'by the clock' ? `${count} at ${Math.round(performance.now())}\n` : `${count}\n`);
    }
  }
}

void main();
