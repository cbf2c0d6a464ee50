-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "accounts";

-- CreateEnum
CREATE TYPE "accounts"."entry_kind" AS ENUM ('DEPOSIT', 'CAPTURE', 'REFUND');

-- CreateEnum
CREATE TYPE "accounts"."payment_status" AS ENUM ('CAPTURED', 'DECLINED', 'REFUNDED', 'VOIDED');

-- CreateTable
CREATE TABLE "accounts"."accounts" (
    "customer_id" TEXT NOT NULL,
    "balance_minor" BIGINT NOT NULL DEFAULT 0,
    "currency" CHAR(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "accounts_pkey" PRIMARY KEY ("customer_id")
);

-- CreateTable
CREATE TABLE "accounts"."entries" (
    "id" BIGSERIAL NOT NULL,
    "customer_id" TEXT NOT NULL,
    "kind" "accounts"."entry_kind" NOT NULL,
    "amount_minor" BIGINT NOT NULL,
    "order_id" TEXT,
    "reference" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "entries_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "accounts"."payments" (
    "order_id" TEXT NOT NULL,
    "customer_id" TEXT NOT NULL,
    "status" "accounts"."payment_status" NOT NULL,
    "amount_minor" BIGINT NOT NULL,
    "answer" JSON,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "payments_pkey" PRIMARY KEY ("order_id")
);

-- CreateTable
CREATE TABLE "accounts"."outbox" (
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
CREATE INDEX "entries_customer_id_id_idx" ON "accounts"."entries"("customer_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "one_entry_per_order_and_kind" ON "accounts"."entries"("order_id", "kind");

-- CreateIndex
CREATE UNIQUE INDEX "one_deposit_per_reference" ON "accounts"."entries"("customer_id", "reference");

-- AddForeignKey
ALTER TABLE "accounts"."entries" ADD CONSTRAINT "entries_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "accounts"."accounts"("customer_id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- What follows Prisma cannot say ------------------------------------------------------------------

-- The last line of defence: whatever the code does, money that is not there cannot be taken.
ALTER TABLE "accounts"."accounts" ADD CONSTRAINT "balance_not_negative" CHECK ("balance_minor" >= 0);
ALTER TABLE "accounts"."accounts" ADD CONSTRAINT "customer_not_empty" CHECK ("customer_id" <> '');
ALTER TABLE "accounts"."payments" ADD CONSTRAINT "amount_not_negative" CHECK ("amount_minor" >= 0);
-- Only what was decided has an answer: a payment that was off before it was asked for has none.
ALTER TABLE "accounts"."payments" ADD CONSTRAINT "decided_has_an_answer" CHECK (("status" = 'VOIDED') = ("answer" IS NULL));
ALTER TABLE "accounts"."entries" ADD CONSTRAINT "goes_the_way_of_its_kind" CHECK (
  CASE "kind" WHEN 'DEPOSIT' THEN "amount_minor" > 0 WHEN 'CAPTURE' THEN "amount_minor" <= 0 ELSE "amount_minor" >= 0 END
);
ALTER TABLE "accounts"."entries" ADD CONSTRAINT "names_its_cause" CHECK (
  ("kind" = 'DEPOSIT') = ("reference" IS NOT NULL) AND ("kind" <> 'DEPOSIT') = ("order_id" IS NOT NULL)
);

-- Entries are written once. A mistake is corrected by a further row, never by a changed one.
CREATE FUNCTION "accounts"."refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE ON "accounts"."entries" FOR EACH ROW EXECUTE FUNCTION "accounts"."refuse_change"();

-- The hot rows: room in each page, so that an update of the balance stays on its page and touches no index.
ALTER TABLE "accounts"."accounts" SET (fillfactor = 50);

-- Fills and empties all day: clean it early.
ALTER TABLE "accounts"."outbox" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
