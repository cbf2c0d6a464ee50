-- What customers and addresses have used of their rate limits, told by every gateway. Unlogged: after a crash of the server everybody
-- begins anew, which is no harm, and nothing of it goes into the log or to a replica.
CREATE SCHEMA IF NOT EXISTS "gateway";

CREATE UNLOGGED TABLE gateway.rate_levels (
    "key" TEXT NOT NULL,
    "level" DOUBLE PRECISION NOT NULL,
    "points_per_second" DOUBLE PRECISION NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "rate_levels_pkey" PRIMARY KEY ("key")
);

-- How many units one customer may hold or have bought. Beside the counters, whose row is locked by whoever decides.
ALTER TABLE inventory.stock ADD COLUMN max_per_customer INTEGER CHECK (max_per_customer > 0);

-- Whose order it is, where its order service says so.
ALTER TABLE inventory.reservations ADD COLUMN customer_id TEXT;

-- Again on the lines of products with such a limit, and of no others: a shop without limits has an index without entries.
ALTER TABLE inventory.reservation_lines ADD COLUMN customer_id TEXT;
CREATE INDEX lines_of_limited_products ON inventory.reservation_lines (product_id, customer_id) WHERE customer_id IS NOT NULL;
