# syntax=docker/dockerfile:1
# The binary alone: gateway and pipeline on a Kafka, a ClickHouse and a PostgreSQL of one's own.
# `hostread up` with its embedded engines is for a machine, not for this image.

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# The cache mounts keep crates and compiled dependencies between builds; they are no part of a layer.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p hostread && install -D target/release/hostread /out/hostread

FROM debian:12.12-slim
RUN groupadd --gid 10001 hostread \
 && useradd --uid 10001 --gid hostread --no-create-home --shell /usr/sbin/nologin hostread \
 && install -d -o hostread -g hostread -m 0700 /var/lib/hostread
# Whom https servers are believed by: feeds, probed files, object storage.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/hostread /usr/local/bin/hostread
COPY --chmod=0755 docker/ready /usr/local/bin/ready
USER 10001:10001
WORKDIR /var/lib/hostread
ENV HOSTREAD_DATA_DIR=/var/lib/hostread
VOLUME /var/lib/hostread
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["hostread"]
CMD ["--help"]
