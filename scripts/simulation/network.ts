/** How long a process waits for the confirm of a publication: as the publisher for RabbitMQ does. */
export const confirmTimeoutMs = 10_000;
