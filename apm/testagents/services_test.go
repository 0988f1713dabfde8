package testagents

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.elastic.co/apm/module/apmhttp/v2"
	elastic "go.elastic.co/apm/v2"
	"go.elastic.co/apm/v2/transport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// agent is what instruments a service.
type agent struct {
	handler   func(http.Handler) http.Handler
	transport func(http.RoundTripper) http.RoundTripper
	record    func(context.Context, error)
	flush     func(t *testing.T) // sends all there is
}

// newElastic is the Go agent of Elastic APM, sending to a receiver.
func newElastic(t *testing.T, service, receiver string) *agent {
	t.Helper()
	t.Setenv("ELASTIC_APM_METRICS_INTERVAL", "0s")
	t.Setenv("ELASTIC_APM_API_BUFFER_SIZE", "50MB") // nothing may depend on how fast it is emptied
	t.Setenv("ELASTIC_APM_SPAN_COMPRESSION_ENABLED", "false")
	u, err := url.Parse(receiver)
	require.NoError(t, err)
	to, err := transport.NewHTTPTransport(transport.HTTPTransportOptions{ServerURLs: []*url.URL{u}})
	require.NoError(t, err)
	tracer, err := elastic.NewTracerOptions(elastic.TracerOptions{ServiceName: service, Transport: to})
	require.NoError(t, err)
	t.Cleanup(tracer.Close)
	return &agent{
		handler: func(h http.Handler) http.Handler { return apmhttp.Wrap(h, apmhttp.WithTracer(tracer)) },
		transport: func(rt http.RoundTripper) http.RoundTripper {
			return apmhttp.WrapRoundTripper(rt)
		},
		record: func(ctx context.Context, err error) { elastic.CaptureError(ctx, err).Send() },
		flush: func(t *testing.T) {
			tracer.Flush(nil)
			stats := tracer.Stats()
			assert.Zero(t, stats.TransactionsDropped+stats.SpansDropped+stats.ErrorsDropped, "the agent has lost something itself")
			assert.Zero(t, stats.Errors.SendStream, "the agent was not pleased with the receiver")
		},
	}
}

// newOTel is OpenTelemetry, with an exporter that speaks OTLP over HTTP.
func newOTel(t *testing.T, service, receiver string) *agent {
	t.Helper()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(receiver+"/v1/traces"), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	require.NoError(t, err)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithBlocking()),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service))),
	)
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	options := []otelhttp.Option{otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagation.TraceContext{})}
	return &agent{
		handler:   func(h http.Handler) http.Handler { return otelhttp.NewHandler(h, service, options...) },
		transport: func(rt http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(rt, options...) },
		record:    func(ctx context.Context, err error) { trace.SpanFromContext(ctx).RecordError(err) },
		flush:     func(t *testing.T) { assert.NoError(t, provider.ForceFlush(t.Context())) },
	}
}

// shop answers well, badly and not at all, and asks the stock at another service.
func shop(a *agent, stock string, wire http.RoundTripper) http.Handler {
	client := &http.Client{Transport: a.transport(wire)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /home", func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, stock+"/stock", nil)
		if err != nil {
			panic(err)
		}
		res, err := client.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.Copy(w, res.Body)
	})
	mux.HandleFunc("GET /oops", func(w http.ResponseWriter, r *http.Request) {
		a.record(r.Context(), errors.New("oops"))
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("GET /missing", http.NotFound)
	return a.handler(mux)
}

func stock(a *agent) http.Handler {
	return a.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "5") }))
}
