# docker build -t service --build-arg REVISION="$(git describe --always --dirty)" .
# docker run -p 8080:8080 service      (it is made to be PID 1)

FROM debian:bookworm-slim AS build
# What is compiled against; of its own, so that a changed source does not install it again.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ cmake ninja-build libboost1.81-dev \
        libboost-json1.81-dev libboost-url1.81-dev libspdlog-dev libfmt-dev libtomlplusplus-dev libcli11-dev \
# [module tls http_sink]
        libssl-dev \
# [/module tls http_sink]
# [module http2]
        libnghttp2-dev \
# [/module http2]
# [module websocket]
        zlib1g-dev \
# [/module websocket]
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG REVISION=unknown
RUN REVISION="$REVISION" cmake --preset release -D BUILD_TESTING=OFF \
    && cmake --build --preset release --target service \
    && strip --strip-debug build/release/service

# [skeleton]
# What services on the libraries are built in: docker build --target development -t curfew:0.1.0 .
FROM build AS development
RUN cmake --build --preset release --target development && cmake --install build/release --component development

# [/skeleton]
FROM debian:bookworm-slim
# The program is static, so nothing is installed.
RUN useradd --system --no-create-home --uid 10001 service \
    && install -d -o service -g service /srv/service /srv/service/var /srv/service/var/events
COPY --from=build /src/build/release/service /usr/local/bin/service
COPY --from=build /src/configs/service.toml /etc/service/service.toml
# docker stop and podman stop send SIGKILL 10 s after SIGTERM unless told otherwise, so a stop takes less here. Whoever
# has more patience says so: --stop-timeout 30 -e TERMINATION_GRACE_SECONDS=30 -e SERVICE_SHUTDOWN_BUDGET=28s. Where
# `container` is set and nothing of it, a longer budget is a warning at the start.
RUN sed -i -e '/^\[shutdown\]$/,/^\[/{s/^budget = .*/budget = "9s"/;s/^flush = .*/flush = "3s"/}' /etc/service/service.toml
ENV container=oci
USER service
WORKDIR /srv/service
VOLUME /srv/service/var
EXPOSE 8080
STOPSIGNAL SIGTERM
# Whether it lives. One that drains is alive, and what asks here restarts what is not.
HEALTHCHECK --interval=5s --timeout=2s --start-period=5s CMD ["/usr/local/bin/service", "--probe", "livez"]
ENTRYPOINT ["/usr/local/bin/service", "--config", "/etc/service/service.toml"]
