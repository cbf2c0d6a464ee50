"""A service that listens to Holdfast: copy it, put your work into `handle`, and let something start it again when it ends.

Needs pika (pip install pika, or Debian's python3-pika). AMQP_URL is the RabbitMQ, DATABASE a file of yours for SQLite.
"""

import hashlib
import json
import os
import signal
import sqlite3
import sys

import pika

QUEUE = os.environ.get("QUEUE", "shipping.order-confirmed")
BINDINGS = [("orders", "order.confirmed")]


class PoisonMessage(Exception):
    """What can never be done, however often it is tried."""


def handle(event, database):
    """Your work, in the transaction that remembers the message: both happen, or neither."""
    if not isinstance(event.get("order_id"), str) or not isinstance(event.get("items"), list):
        raise PoisonMessage("no order, or no items")
    database.execute("INSERT INTO shipments VALUES (?, ?)", (event["order_id"], json.dumps(event["items"])))


def once(database, message_id, body):
    with database:  # Commits, or rolls back what raised.
        first = database.execute("INSERT OR IGNORE INTO handled_messages VALUES (?)", (message_id,)).rowcount
        if first:
            handle(parse(body), database)


def parse(body):
    try:
        event = json.loads(body)
    except ValueError as error:
        raise PoisonMessage("not JSON") from error
    if not isinstance(event, dict):
        raise PoisonMessage("no JSON object")
    return event


def on_message(channel, database, delivery, properties, body):
    # A repetition has the id of the first; a bare message has none, and is known by what it says.
    message_id = properties.message_id or hashlib.sha256(body).hexdigest()
    try:
        once(database, message_id, body)
    except PoisonMessage as error:
        print(f"{message_id}: {error}", file=sys.stderr)
        channel.basic_nack(delivery.delivery_tag, requeue=False)  # Into the dead letters, for people to look at.
    except sqlite3.Error as error:
        print(f"{message_id}: {error}", file=sys.stderr)
        channel.connection.sleep(1)
        channel.basic_nack(delivery.delivery_tag, requeue=True)  # Again, at most 20 times.
    else:
        channel.basic_ack(delivery.delivery_tag)  # Only now: a crash before this brings it again, and `once` knows it.


def main():
    database = sqlite3.connect(os.environ.get("DATABASE", "shipping.db"))
    database.execute("CREATE TABLE IF NOT EXISTS handled_messages (id TEXT PRIMARY KEY)")
    database.execute("CREATE TABLE IF NOT EXISTS shipments (order_id TEXT NOT NULL, items TEXT NOT NULL)")
    connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
    channel = connection.channel()
    quorum = {"x-queue-type": "quorum"}
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{QUEUE}.dead", "x-delivery-limit": 20}
    channel.queue_declare(f"{QUEUE}.dead", durable=True, arguments=quorum)
    channel.queue_declare(QUEUE, durable=True, arguments={**quorum, **dead})
    for exchange, key in BINDINGS:
        channel.exchange_declare(exchange, "topic", durable=True)
        channel.queue_bind(QUEUE, exchange, key)
    channel.basic_qos(prefetch_count=20)
    channel.basic_consume(QUEUE, lambda ch, delivery, properties, body: on_message(ch, database, delivery, properties, body))
    signal.signal(signal.SIGTERM, lambda *_: connection.add_callback_threadsafe(channel.stop_consuming))
    print(f"listening on {QUEUE}", flush=True)
    channel.start_consuming()  # Raises when the connection is lost: begin anew, what was not acked comes again.
    connection.close()


if __name__ == "__main__":
    main()
