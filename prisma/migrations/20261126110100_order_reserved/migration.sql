-- By itself: Postgres lets nobody use a new value in the transaction that adds it.
ALTER TYPE "orders"."order_status" ADD VALUE 'RESERVED' AFTER 'PENDING';
