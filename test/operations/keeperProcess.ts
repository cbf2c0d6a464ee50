import { v7 as uuidv7 } from 'uuid';

import { openDatabase } from '../../src/database';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { createLogger } from '../../src/observability';
import { DeadLetterKeeper } from '../../src/operations/keepDeadLetters';

/** A keeper in a process of its own, to be killed: `<database url> <rabbitmq url> <queue>`. Says when it has begun. */
async function main([databaseUrl, url, queue]: string[]) {
  const log = createLogger({ level: 'silent', name: 'test' });
  const broker = await connectRabbitmq({ url: url!, random: () => 0.5 });
  const database = openDatabase({ url: databaseUrl!, poolSize: 2 });
  await new DeadLetterKeeper({ from: `${queue}.dead`, queue: queue!, database, broker, log, newId: uuidv7 }).start();
  process.stdout.write(`${JSON.stringify({ begun: true })}\n`);
}

void main(process.argv.slice(2));
