import { type InventoryContext } from './context';

export interface SeedOutcome {
  created: number;
  /** Skus that were there already; nothing of them was changed. */
  present: number;
  units: number;
}

/** Adds the sample products that are not there yet; safe to repeat, and never touches what is there. */
export async function seedProducts(inventory: InventoryContext, correlationId: string): Promise<SeedOutcome> {
  const present = await inventory.productIdsBySku(sampleProducts.map(({ sku }) => sku));
  const missing = sampleProducts.filter(({ sku }) => !present.has(sku));
  const outcome: SeedOutcome = { created: 0, present: present.size, units: 0 };
  for (const product of missing) {
    const result = await inventory.createProduct(product, correlationId);
    if (result.type === 'done') {
      outcome.created++;
      outcome.units += product.onHand;
    } else if (result.type === 'sku-taken') outcome.present++;
    else throw new Error(`Sample product ${product.sku} was refused: ${JSON.stringify(result)}.`);
  }
  return outcome;
}

/** Prices in minor units. One thing sells out at once (the console), so that a rejection can be seen on the first day. */
const sampleProducts = [
  { sku: 'MUG-BLUE', name: 'Enamel mug, blue', price: 1_200, onHand: 100 },
  { sku: 'MUG-WHITE', name: 'Enamel mug, white', price: 1_200, onHand: 80 },
  { sku: 'TEAPOT-IRON', name: 'Cast-iron teapot, 0.8 l', price: 5_490, onHand: 25 },
  { sku: 'KETTLE-STEEL', name: 'Whistling kettle, steel', price: 3_990, onHand: 30 },
  { sku: 'PAN-24', name: 'Carbon-steel pan, 24 cm', price: 4_950, onHand: 40 },
  { sku: 'PAN-28', name: 'Carbon-steel pan, 28 cm', price: 5_950, onHand: 35 },
  { sku: 'KNIFE-CHEF', name: "Chef's knife, 20 cm", price: 8_900, onHand: 20 },
  { sku: 'KNIFE-PARING', name: 'Paring knife, 9 cm', price: 2_450, onHand: 60 },
  { sku: 'BOARD-OAK', name: 'Chopping board, oak', price: 3_400, onHand: 45 },
  { sku: 'APRON-LINEN', name: 'Linen apron', price: 4_200, onHand: 50 },
  { sku: 'TOWEL-SET-3', name: 'Kitchen towels, set of three', price: 1_890, onHand: 70 },
  { sku: 'CARAFE-1L', name: 'Glass carafe, 1 l', price: 2_290, onHand: 30 },
  { sku: 'GLASS-SET-6', name: 'Water glasses, set of six', price: 2_790, onHand: 40 },
  { sku: 'GRINDER-PEPPER', name: 'Pepper grinder, beech', price: 3_150, onHand: 35 },
  { sku: 'GRINDER-COFFEE', name: 'Coffee grinder, hand-cranked', price: 7_900, onHand: 15 },
  { sku: 'FILTER-V60', name: 'Pour-over filter, porcelain', price: 2_690, onHand: 30 },
  { sku: 'SCALE-2KG', name: 'Kitchen scale, 2 kg', price: 3_290, onHand: 25 },
  { sku: 'TIMER-60', name: 'Mechanical timer, 60 minutes', price: 1_490, onHand: 60 },
  { sku: 'LAMP-DESK', name: 'Desk lamp, brass', price: 9_900, onHand: 12 },
  { sku: 'CANDLE-BEE', name: 'Beeswax candle', price: 1_650, onHand: 90 },
  { sku: 'NOTEBOOK-A5', name: 'Notebook A5, dotted', price: 1_290, onHand: 120 },
  { sku: 'PEN-FOUNTAIN', name: 'Fountain pen, fine', price: 4_500, onHand: 18 },
  { sku: 'BAG-CANVAS', name: 'Canvas bag', price: 1_990, onHand: 70 },
  { sku: 'CONSOLE-LTD', name: 'Game console, limited edition', price: 49_900, onHand: 5 },
];
