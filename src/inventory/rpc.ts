import { rpcs, type ReplyOf } from '../contracts';
import { answering, type RpcService } from '../messaging';
import { type ChangeStockResult, type SetStockInput } from './changeStock';
import { type CheckStock } from './readProducts';

export interface InventoryRpcOptions {
  checkStock: CheckStock;
  setStock: (input: SetStockInput, correlationId: string) => Promise<ChangeStockResult>;
}

/** What inventory answers over the broker, by the use cases that the other doors call. */
export function inventoryRpc({ checkStock, setStock }: InventoryRpcOptions): RpcService[] {
  return [
    answering(rpcs.stockCheck, async ({ items }, correlationId) => {
      const lines = items.map(({ product_id: productId, quantity = 1 }) => ({ productId, quantity }));
      const checked = await checkStock(lines, correlationId);
      const canBeHad = checked.every(({ code }) => code === undefined);
      return { status: canBeHad ? ('SUCCESS' as const) : ('FAILED' as const), items: checked };
    }),
    answering(rpcs.stockUpdate, async (request, correlationId) => {
      const { product_id: id, on_hand: onHand, compare_on_hand: compareOnHand, reason, reference } = request;
      const result = await setStock({ product: { id }, onHand, compareOnHand, reason, reference }, correlationId);
      return { product_id: id, ...outcomeOf(result) };
    }),
  ];
}

function outcomeOf(result: ChangeStockResult): Omit<ReplyOf<typeof rpcs.stockUpdate>, 'product_id'> {
  const failed = { status: 'FAILED' as const };
  switch (result.type) {
    case 'done': {
      const { onHand: on_hand, reserved, available } = result.product;
      return { status: 'SUCCESS', on_hand, reserved, available, message: 'The stock is as it was counted.' };
    }
    case 'invalid':
      return { ...failed, code: 'VALIDATION_FAILED', message: result.fields.map(({ message }) => message).join('; ') };
    case 'unknown-product':
      return { ...failed, code: 'UNKNOWN_PRODUCT', message: 'There is no such product.' };
    case 'below-reserved': {
      const { onHand: on_hand, reserved } = result;
      return { ...failed, on_hand, reserved, code: 'STOCK_BELOW_RESERVED', message: `${reserved} units are promised to orders.` };
    }
    case 'stock-moved': {
      const { onHand: on_hand } = result;
      return { ...failed, on_hand, code: 'STOCK_MOVED', message: `Somebody changed the stock meanwhile: it is ${on_hand}.` };
    }
    default:
      return result satisfies never;
  }
}
