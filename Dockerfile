FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /loadgen ./cmd/loadgen

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /loadgen /loadgen
# Jobs that are started by port go through the suite's Toxiproxy container. The suite's
# page knows no token, and its network keeps others out; elsewhere set LOADGEN_TOKEN,
# which is asked for whatever LOADGEN_INSECURE_NO_AUTH says.
ENV LOADGEN_ADDR=0.0.0.0:8000 LOADGEN_TARGET=http://toxi:{port} \
    LOADGEN_INSECURE_NO_AUTH=true LOADGEN_ALLOW_HOST=opbeans-load-generator,@own
# The suite's StatsD server. Where there is none, nothing is sent.
ENV STATSD_ADDR=udp://stats-d:8125
# Where the Python service had its scenarios.
WORKDIR /app/scenarios
ENV LOADGEN_SCENARIOS=/app/scenarios
EXPOSE 8000
USER 65534:65534
ENTRYPOINT ["/loadgen"]
