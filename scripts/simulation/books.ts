import { type Balance, type Payment } from '../../src/accounts/payment';
import { type PaymentMethod } from '../../src/contracts';
import { type EntryKind, type MovementKind, type ReservationStatus } from '../../src/database';
import { type StoredAnswer } from '../../src/inventory/amendmentRows';
import { type OutboxSchema } from '../../src/messaging';
import { type CancellationReason, type OrderStatus } from '../../src/orders/order';
import { type AmendmentUnderWay } from '../../src/orders/amendmentRows';
import { type AmendmentView } from '../../src/orders/readAmendments';
import { type OutboxRow } from '../../src/messaging/outboxRows';

/** Rows by their key: what is committed. A row is never changed, only replaced. */
export class Table<Row> {
  private readonly rows = new Map<string, Row>();

  constructor(readonly name: string) {}

  get(key: string): Row | undefined {
    return this.rows.get(key);
  }

  keys(): Iterable<string> {
    return this.rows.keys();
  }

  values(): Iterable<Row> {
    return this.rows.values();
  }

  get size(): number {
    return this.rows.size;
  }

  put(key: string, row: Row | undefined): void {
    if (row === undefined) this.rows.delete(key);
    else this.rows.set(key, row);
  }
}

/** Everything Holdfast keeps, table by table. */
export type Books = ReturnType<typeof createBooks>;

export function createBooks() {
  return {
    orders: new Table<OrderRow>('order'),
    /** The id of the order that holds a key of a customer: the unique index. */
    orderKeys: new Table<string>('key'),
    closings: new Table<ClosingRow>('closing'),
    refunds: new Table<ClosingRow>('refund'),
    amendments: new Table<AmendmentRow>('amendment'),
    stock: new Table<StockRow>('stock'),
    movements: new Table<MovementRow>('movement'),
    reservations: new Table<ReservationRow>('reservation'),
    /** Of inventory, to amendments. */
    answers: new Table<StoredAnswer>('answer'),
    accounts: new Table<Balance>('account'),
    entries: new Table<EntryRow>('entry'),
    payments: new Table<Payment>('payment'),
    outbox: {
      orders: new Table<OutboxRowWithLease>('orders outbox'),
      inventory: new Table<OutboxRowWithLease>('inventory outbox'),
      accounts: new Table<OutboxRowWithLease>('accounts outbox'),
      notifications: new Table<OutboxRowWithLease>('notifications outbox'),
    } satisfies Record<OutboxSchema, unknown>,
  };
}

export interface Line {
  productId: number;
  quantity: number;
  unitPrice: number | null;
}

export interface HistoryRow {
  version: number;
  event: string;
  from: OrderStatus | null;
  to: OrderStatus;
}

export interface OrderRow {
  id: string;
  customerId: string;
  status: OrderStatus;
  version: number;
  correlationId: string;
  currency: string;
  payment: PaymentMethod;
  idempotencyKey: string | null;
  fingerprint: string | null;
  lines: Line[];
  history: HistoryRow[];
  total: number | null;
  reason: CancellationReason | null;
  createdAtMs: number;
  deadlineAtMs: number;
  watchAtMs: number;
}

/** A closed order that inventory, or accounts, has not answered for. */
export interface ClosingRow {
  orderId: string;
  closedAtMs: number;
  watchAtMs: number;
}

export interface AmendmentRow extends AmendmentUnderWay, Pick<AmendmentView, 'status' | 'reason'> {
  requestedAtMs: number;
  watchAtMs: number;
}

export interface StockRow {
  productId: number;
  sku: string;
  active: boolean;
  unitPrice: number;
  onHand: number;
  reserved: number;
}

export interface MovementRow {
  productId: number;
  kind: MovementKind;
  onHandDelta: number;
  reservedDelta: number;
  orderId: string | null;
}

export interface ReservationRow {
  orderId: string;
  status: ReservationStatus;
  answer: string | null;
  lines: Line[];
}

export interface EntryRow {
  customerId: string;
  kind: EntryKind;
  amount: number;
  orderId: string | null;
}

export interface OutboxRowWithLease extends OutboxRow {
  leaseUntilMs: number;
}
