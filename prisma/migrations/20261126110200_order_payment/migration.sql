-- CreateEnum
CREATE TYPE "orders"."payment_method" AS ENUM ('NONE', 'BALANCE');

-- AlterTable
ALTER TABLE "orders"."orders" ADD COLUMN "payment" "orders"."payment_method" NOT NULL DEFAULT 'NONE';

-- CreateTable
CREATE TABLE "orders"."refunds" (
    "order_id" TEXT NOT NULL,
    "closed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "watch_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "refunds_pkey" PRIMARY KEY ("order_id")
);

-- CreateIndex
CREATE INDEX "refunds_watch_at_idx" ON "orders"."refunds"("watch_at");

-- AddForeignKey
ALTER TABLE "orders"."refunds" ADD CONSTRAINT "refunds_order_id_fkey" FOREIGN KEY ("order_id") REFERENCES "orders"."orders"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- What follows Prisma cannot say ------------------------------------------------------------------

-- Only orders that wait for their payment are watched by it: without payments it stays empty.
CREATE INDEX "orders_awaiting_payment" ON "orders"."orders" ("watch_at") WHERE "status" = 'RESERVED';

-- Fills and empties all day, as closings do: clean it early.
ALTER TABLE "orders"."refunds" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
