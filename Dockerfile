# One image for every role: `docker run holdfast --roles gateway`. It talks to the Postgres and the RabbitMQ that DATABASE_URL
# and RABBITMQ_URL name, and holds no servers of its own: the embedded Postgres is for machines without Docker.

ARG NODE_IMAGE=node:20-bookworm-slim

# ---- What runs: production packages only.
FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# Optional are the embedded Postgres's binaries, peer is the Prisma CLI: migrations run in process, so neither is needed.
# No package here needs its install script.
RUN npm ci --omit=dev --omit=optional --omit=peer --ignore-scripts --no-audit --no-fund
# Prisma ships a query compiler for every database it knows, 60 MB of them; we speak to one.
RUN find node_modules/@prisma/client/runtime -name 'query_compiler_*' ! -name '*_fast_bg.postgresql.*' -exec rm {} +

# ---- What is built: the Prisma client, the JavaScript, the playground.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=optional --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json prisma.config.ts ./
COPY prisma ./prisma
COPY scripts ./scripts
COPY src ./src
RUN npm run generate && npm run build && rm -f dist/.tsbuildinfo

# ---- The image. Its files belong to root and the process does not run as root, so it cannot change its own program.
FROM ${NODE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="The order and stock core of a shop that must survive a flash sale" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The only folder written to is HOLDFAST_DATA, so the root file system may be mounted read-only with a tmpfs on /tmp.
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=4000 \
    WORKER_PORT=4000 \
    GRPC_PORT=50052 \
    HOLDFAST_DATA=/tmp/holdfast
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY prisma/migrations ./prisma/migrations
COPY proto ./proto
COPY package.json LICENSE ./
# By number, because Kubernetes can prove only of a number that it is not root. 1000 is the base image's `node`.
USER 1000:1000
EXPOSE 4000 50052
# Health is for the orchestrator to ask: GET /health/live and /health/ready on port 4000, of every role.
STOPSIGNAL SIGTERM
# No shell and no npm in between: the signal that asks for a drain reaches Node itself.
# What follows are the options of main.ts: `--roles orders`, say; without any it plays all roles.
ENTRYPOINT ["node", "dist/src/main.js"]
CMD []
