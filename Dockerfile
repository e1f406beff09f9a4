FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# docker build --build-arg VERSION=$(git describe --tags --always): the repository is not in here.
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-X main.release=$VERSION" -o /ami-nats-bridge ./cmd/ami-nats-bridge \
	&& mkdir /data

# Nothing but the binary, the certificates that TLS trusts and a folder that the
# embedded nats-server may write to.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /ami-nats-bridge /ami-nats-bridge
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV BRIDGE_DATA_DIR=/data BRIDGE_HTTP_ADDR=0.0.0.0:9108
EXPOSE 9108
# Whether it serves. Not whether it is ready: a restart while NATS is away loses what waits in memory.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/ami-nats-bridge", "healthcheck"]
VOLUME /data
ENTRYPOINT ["/ami-nats-bridge"]
CMD ["run"]
