# Stands in for docker.io/valkey/valkey in tests: the same server and client, of Debian's package.
ARG BASE
FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends valkey-server valkey-tools \
    && rm -rf /var/lib/apt/lists \
    && install --directory --owner=999 --group=999 /data
USER 999:999
