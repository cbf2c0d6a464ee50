import { type AnyEvent } from '../../src/contracts';
import { type ModelLine, type ModelOrder } from './shopModel';

/** A system under test. Orders are named by their number, products by their index. What it says is returned, to be delivered or not. */
export interface Shop {
  place(lines: ModelOrder['lines']): Promise<AnyEvent[]>;
  /** Throws PoisonMessage for what can never be right. */
  deliver(body: AnyEvent): Promise<AnyEvent[]>;
  update(order: number, quantities: ModelLine[]): Promise<AnyEvent[]>;
  cancel(order: number): Promise<AnyEvent[]>;
  fulfil(order: number): Promise<AnyEvent[]>;
  expire(order: number): Promise<AnyEvent[]>;
  adjust(product: number, delta: number): Promise<void>;
  /** All that the model knows too. */
  state(): Promise<{ stock: { onHand: number; reserved: number }[]; orders: OrderState[] }>;
  /** Which invariants do not hold, in words. */
  broken(): Promise<string[]>;
}

/** The lines in words. */
export interface OrderState extends Pick<ModelOrder, 'status' | 'held'> {
  lines: string;
}
