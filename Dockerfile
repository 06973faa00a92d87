# One image with the three programs: `distributor`, `analyzer` and `generator`.
FROM denoland/deno:2.9.6 AS build
WORKDIR /app
COPY deno.json deno.lock main.ts ./
COPY src ./src
COPY analyzers ./analyzers
COPY generator ./generator
RUN deno task compile

FROM gcr.io/distroless/cc-debian12:nonroot
WORKDIR /app
COPY --from=build /app/dist/ /usr/local/bin/
COPY config ./config
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s CMD ["distributor", "healthcheck"]
CMD ["distributor", "--http-addr", ":8080"]
