-- AlterTable
-- Rows that are there already are numbered in the order they lie in, which is the order they were written in.
ALTER TABLE "orders"."order_history" ADD COLUMN "position" BIGSERIAL NOT NULL;

-- CreateIndex
CREATE UNIQUE INDEX "order_history_position_key" ON "orders"."order_history"("position");
