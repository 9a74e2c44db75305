# One image for every service; the command says which: `docker run salvor service verifier`.
FROM node:24-bookworm-slim AS build
WORKDIR /app
RUN npm install --global pnpm@12.21.0
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY tools tools
COPY packages packages
COPY services services
# As `./salvor` in a checkout: tools/build.mjs puts all code into one folder.
RUN pnpm install --frozen-lockfile --ignore-scripts \
      --filter salvor --filter './packages/*' --filter './services/*' --filter '!./packages/testkit' \
 && node tools/build.mjs build
# Beside it stay the few packages that read files of their own: what its links point to.
RUN find . -name node_modules -not -path './build/*' -prune -exec rm -rf {} + \
 && pnpm install --prod --frozen-lockfile --ignore-scripts --filter @salvor/catalog --filter @salvor/api \
      --filter @salvor/engine-sqlite --filter @salvor/engine-postgres \
 && rm -rf tools services packages/*/src && node build/main.js --version && node build/main.js config schema > /dev/null

FROM node:24-bookworm-slim
# The verifier proves PostgreSQL backups with a server of the same major version: PGDG's 13 to 18.
ARG POSTGRES_MAJORS="13 14 15 16 17 18"
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates postgresql-common tini \
 && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
 && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
 && for major in $POSTGRES_MAJORS; do apt-get install -y --no-install-recommends "postgresql-$major" || exit 1; done \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app /app
COPY deploy/health.sh /usr/local/bin/salvor-health
# Volumes take the owner of these folders when they are made.
RUN printf '%s\n' '#!/bin/sh' 'case " $* " in' \
      '  *" wal push "* | *" wal get "*) exec perl /app/build/ask-helper.pl node /app/build/main.js "$@" ;;' 'esac' \
      'exec node /app/build/main.js "$@"' > /usr/local/bin/salvor && chmod 755 /usr/local/bin/salvor \
 && useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/salvor salvor \
 && install -d -o salvor -g salvor -m 0700 /var/lib/salvor /var/lib/salvor/data /var/lib/salvor/backups && install -d /etc/salvor
USER 10001:10001
# On a read-only root /tmp is the one place that can be written; code that was compiled once is kept there for task processes.
# MALLOC_ARENA_MAX: see the launcher of a checkout.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/tmp/salvor-compiled MALLOC_ARENA_MAX=2
VOLUME ["/var/lib/salvor/data", "/var/lib/salvor/backups"]
EXPOSE 7400
# Answers while the process is worth keeping. 7400 is the http.port of deploy/salvor.yaml.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 CMD ["salvor-health", "healthz"]
ENTRYPOINT ["tini", "--", "salvor", "--config", "/etc/salvor/salvor.yaml"]
CMD ["up"]
