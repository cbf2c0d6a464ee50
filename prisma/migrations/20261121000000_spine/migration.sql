-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "inventory";

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "orders";

-- CreateEnum
CREATE TYPE "orders"."order_status" AS ENUM ('PENDING', 'CONFIRMED', 'FULFILLED', 'CANCELLED');

-- CreateEnum
CREATE TYPE "inventory"."reservation_status" AS ENUM ('ACTIVE', 'COMMITTED', 'RELEASED', 'REJECTED');

-- CreateEnum
CREATE TYPE "inventory"."movement_kind" AS ENUM ('INITIAL', 'ADJUST', 'SET', 'RESERVE', 'RELEASE', 'COMMIT', 'REPAIR');

-- CreateTable
CREATE TABLE "orders"."orders" (
    "id" TEXT NOT NULL,
    "customer_id" TEXT NOT NULL,
    "status" "orders"."order_status" NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "reason_code" TEXT,
    "reason_message" TEXT,
    "reason_lines" JSONB,
    "correlation_id" TEXT NOT NULL,
    "currency" CHAR(3) NOT NULL,
    "total_minor" BIGINT,
    "idempotency_key" TEXT,
    "fingerprint" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "deadline_at" TIMESTAMPTZ(3) NOT NULL,
    "watch_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "orders_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "orders"."order_items" (
    "order_id" TEXT NOT NULL,
    "product_id" INTEGER NOT NULL,
    "quantity" INTEGER NOT NULL,
    "unit_price_minor" BIGINT,

    CONSTRAINT "order_items_pkey" PRIMARY KEY ("order_id","product_id")
);

-- CreateTable
CREATE TABLE "orders"."order_history" (
    "order_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "event" TEXT NOT NULL,
    "from_status" "orders"."order_status",
    "to_status" "orders"."order_status" NOT NULL,
    "detail" TEXT,
    "causation_id" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "order_history_pkey" PRIMARY KEY ("order_id","version")
);

-- CreateTable
CREATE TABLE "orders"."outbox" (
    "position" BIGSERIAL NOT NULL,
    "id" UUID NOT NULL,
    "aggregate_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "body" JSON NOT NULL,
    "correlation_id" TEXT NOT NULL,
    "causation_id" TEXT,
    "traceparent" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "lease_until" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("position")
);

-- CreateTable
CREATE TABLE "inventory"."products" (
    "id" SERIAL NOT NULL,
    "sku" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "price_minor" BIGINT NOT NULL,
    "currency" CHAR(3) NOT NULL,
    "active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "products_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "inventory"."stock" (
    "product_id" INTEGER NOT NULL,
    "on_hand" INTEGER NOT NULL,
    "reserved" INTEGER NOT NULL DEFAULT 0,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "stock_pkey" PRIMARY KEY ("product_id")
);

-- CreateTable
CREATE TABLE "inventory"."reservations" (
    "order_id" TEXT NOT NULL,
    "status" "inventory"."reservation_status" NOT NULL,
    "answer" JSON,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "reservations_pkey" PRIMARY KEY ("order_id")
);

-- CreateTable
CREATE TABLE "inventory"."reservation_lines" (
    "order_id" TEXT NOT NULL,
    "product_id" INTEGER NOT NULL,
    "quantity" INTEGER NOT NULL,
    "unit_price_minor" BIGINT NOT NULL,

    CONSTRAINT "reservation_lines_pkey" PRIMARY KEY ("order_id","product_id")
);

-- CreateTable
CREATE TABLE "inventory"."movements" (
    "id" BIGSERIAL NOT NULL,
    "product_id" INTEGER NOT NULL,
    "kind" "inventory"."movement_kind" NOT NULL,
    "on_hand_delta" INTEGER NOT NULL,
    "reserved_delta" INTEGER NOT NULL,
    "order_id" TEXT,
    "reason" TEXT,
    "reference" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "movements_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "inventory"."outbox" (
    "position" BIGSERIAL NOT NULL,
    "id" UUID NOT NULL,
    "aggregate_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "body" JSON NOT NULL,
    "correlation_id" TEXT NOT NULL,
    "causation_id" TEXT,
    "traceparent" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "lease_until" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("position")
);

-- CreateIndex
CREATE INDEX "orders_customer_id_id_idx" ON "orders"."orders"("customer_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "one_order_per_idempotency_key" ON "orders"."orders"("customer_id", "idempotency_key");

-- CreateIndex
CREATE UNIQUE INDEX "products_sku_key" ON "inventory"."products"("sku");

-- CreateIndex
CREATE INDEX "movements_product_id_id_idx" ON "inventory"."movements"("product_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "one_movement_per_order_line_and_kind" ON "inventory"."movements"("order_id", "product_id", "kind");

-- AddForeignKey
ALTER TABLE "orders"."order_items" ADD CONSTRAINT "order_items_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "orders"."orders"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "orders"."order_history" ADD CONSTRAINT "order_history_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "orders"."orders"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "inventory"."stock" ADD CONSTRAINT "stock_product_id_fkey" FOREIGN KEY ("product_id") REFERENCES "inventory"."products"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "inventory"."reservation_lines" ADD CONSTRAINT "reservation_lines_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "inventory"."reservations"("order_id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "inventory"."movements" ADD CONSTRAINT "movements_product_id_fkey" FOREIGN KEY ("product_id") REFERENCES "inventory"."products"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- What follows Prisma cannot say ------------------------------------------------------------------

-- The last line of defence: whatever the code does, a unit that is not there cannot be promised.
ALTER TABLE "inventory"."stock" ADD CONSTRAINT "reserved_within_on_hand" CHECK (0 <= "reserved" AND "reserved" <= "on_hand");
ALTER TABLE "inventory"."reservation_lines" ADD CONSTRAINT "quantity_positive" CHECK ("quantity" > 0);
ALTER TABLE "inventory"."reservation_lines" ADD CONSTRAINT "unit_price_not_negative" CHECK ("unit_price_minor" >= 0);
ALTER TABLE "inventory"."products" ADD CONSTRAINT "price_not_negative" CHECK ("price_minor" >= 0);
ALTER TABLE "inventory"."products" ADD CONSTRAINT "sku_not_empty" CHECK ("sku" <> '');
ALTER TABLE "orders"."order_items" ADD CONSTRAINT "quantity_positive" CHECK ("quantity" > 0);
ALTER TABLE "orders"."orders" ADD CONSTRAINT "customer_not_empty" CHECK ("customer_id" <> '');
ALTER TABLE "orders"."orders" ADD CONSTRAINT "cancelled_has_a_reason" CHECK (("status" = 'CANCELLED') = ("reason_code" IS NOT NULL));
ALTER TABLE "orders"."orders" ADD CONSTRAINT "key_has_a_fingerprint" CHECK (("idempotency_key" IS NULL) = ("fingerprint" IS NULL));

-- Only orders that still wait are watched, so the watchdog's index stays as small as the waiting line.
CREATE INDEX "orders_watched" ON "orders"."orders" ("watch_at") WHERE "status" = 'PENDING';

-- Movements and history are written once. A mistake is corrected by a further row, never by a changed one.
CREATE FUNCTION "inventory"."refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE ON "inventory"."movements" FOR EACH ROW EXECUTE FUNCTION "inventory"."refuse_change"();

CREATE FUNCTION "orders"."refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE ON "orders"."order_history" FOR EACH ROW EXECUTE FUNCTION "orders"."refuse_change"();

-- The hot rows: room in each page, so that an update of the counters stays on its page and touches no index.
ALTER TABLE "inventory"."stock" SET (fillfactor = 50);
ALTER TABLE "orders"."orders" SET (fillfactor = 80);

-- Outboxes fill and empty all day: clean them early.
ALTER TABLE "orders"."outbox" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE "inventory"."outbox" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
