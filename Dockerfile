# Three images of one file: `--target distributor` (the default), `analyzer` and `generator`.
# Both base images are pinned by what they hold, for amd64 and arm64.
ARG DENO_IMAGE=denoland/deno:2.9.6@sha256:2014dc167ece617ef7e7ba40631ac2234c59e75ce693e7cc2dc2602b3c87859d
ARG RUN_IMAGE=gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f

# Compiles on the machine's own platform for the one that is asked for: no emulation.
FROM --platform=$BUILDPLATFORM ${DENO_IMAGE} AS build
WORKDIR /app
COPY deno.json deno.lock main.ts ./
COPY src ./src
COPY analyzers ./analyzers
COPY generator ./generator
COPY tools ./tools
ARG TARGETARCH=amd64
ARG COMMIT=
RUN --mount=type=cache,target=/deno-dir \
    deno task compile --target "linux-$TARGETARCH" --commit "$COMMIT" \
    && mkdir -p /out/data /out/config \
    && mv "dist/linux-$TARGETARCH" /out/bin
COPY config/config.json /out/config/

FROM ${RUN_IMAGE} AS base
ARG COMMIT=
LABEL org.opencontainers.image.title="Weighted Log Analyzer Distributor" \
      org.opencontainers.image.description="Shares log packets among analyzers by weight" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="$COMMIT"
# nonroot, as a number, so that Kubernetes can tell that it is not root.
USER 65532:65532
WORKDIR /

FROM base AS analyzer
COPY --from=build /out/bin/analyzer /usr/local/bin/analyzer
EXPOSE 8081
ENTRYPOINT ["/usr/local/bin/analyzer"]
CMD ["-host", "0.0.0.0"]

FROM base AS generator
COPY --from=build /out/bin/generator /usr/local/bin/generator
ENTRYPOINT ["/usr/local/bin/generator"]

# Last, and so what a build without --target makes.
FROM base AS distributor
COPY --from=build /out/bin/distributor /usr/local/bin/distributor
COPY --from=build /out/config /config
COPY --from=build --chown=65532:65532 /out/data /data
# The health check reads the same variables as the service, and so asks the same address.
ENV DISTRIBUTOR_HTTP_ADDR=":8080" \
    DISTRIBUTOR_DURABILITY="disk" \
    DISTRIBUTOR_DATA_DIR="/data"
VOLUME ["/data"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/distributor", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/distributor"]
