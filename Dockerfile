# One image for every service; the command says which: `docker run salvor service verifier`.
FROM node:24-bookworm-slim AS build
WORKDIR /app
RUN npm install --global pnpm@12.21.0
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml tsconfig.base.json ./
COPY packages packages
COPY services services
RUN pnpm install --frozen-lockfile --ignore-scripts --filter './packages/*' --filter './services/*' --no-optional \
 && pnpm exec tsc -b packages/* services/*

FROM node:24-bookworm-slim AS production
WORKDIR /app
RUN npm install --global pnpm@12.21.0
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY --from=build /app/packages packages
COPY --from=build /app/services services
RUN find packages services -name node_modules -prune -exec rm -rf {} + \
 && pnpm install --prod --frozen-lockfile --no-optional && rm -rf packages/testkit

FROM node:24-bookworm-slim
# The verifier proves PostgreSQL backups with a server of the same major version: PGDG's 13 to 18.
ARG POSTGRES_MAJORS="13 14 15 16 17 18"
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates postgresql-common tini \
 && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
 && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
 && for major in $POSTGRES_MAJORS; do apt-get install -y --no-install-recommends "postgresql-$major" || exit 1; done \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=production --chown=root:root /app /app
RUN printf '#!/bin/sh\nexec node /app/packages/cli/dist/main.js "$@"\n' > /usr/local/bin/salvor && chmod 755 /usr/local/bin/salvor \
 && useradd --system --uid 10001 --create-home --home-dir /var/lib/salvor salvor && mkdir -p /etc/salvor /var/lib/salvor/data /var/lib/salvor/backups && chown -R salvor /var/lib/salvor
USER 10001
ENV NODE_ENV=production
VOLUME /var/lib/salvor
EXPOSE 7400
# /healthz answers while the process and its catalog work; the port is the service's http.port.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:7400/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "salvor", "--config", "/etc/salvor/salvor.yaml"]
CMD ["up"]
