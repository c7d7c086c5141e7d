# Stands in for docker.io/prom/prometheus in tests: the same server, of Debian's package, started and owned as there.
ARG BASE
FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends prometheus \
    && rm -rf /var/lib/apt/lists \
    && install --directory --owner=65534 --group=65534 /prometheus
USER 65534
WORKDIR /prometheus
ENTRYPOINT ["prometheus"]
