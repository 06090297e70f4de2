# reconcile alone, without Python: it plans, applies what can be understood without running it, and keeps reconciling. For
# flows that only Python can tell about, and for build steps, put the binary into an image that has what they need:
#   COPY --from=reconcile /usr/local/bin/reconcile /usr/local/bin/
#
# Both bases are build arguments; name them by digest:
#   docker build --build-arg BUILD=docker.io/library/rust:1.95-bookworm@sha256:… --build-arg RUN=debian:bookworm-slim@sha256:… .
# BUILD needs cargo of the version in rust-toolchain.toml, a C compiler and CA certificates; RUN needs the C library of
# BUILD, and ssh only for repositories that are reached that way.
ARG BUILD=docker.io/library/rust:1.95-bookworm
ARG RUN=docker.io/library/debian:bookworm-slim

FROM ${BUILD} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin reconcile && install -D -m 755 target/release/reconcile /out/reconcile

FROM ${RUN}
COPY --from=build /out/reconcile /usr/local/bin/reconcile
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A number, so that Kubernetes can see that it is not root. Nothing is written but the cache.
USER 65532:65532
ENV HOME=/tmp RECONCILE_CACHE_DIR=/tmp/reconcile SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /work
ENTRYPOINT ["/usr/local/bin/reconcile"]
