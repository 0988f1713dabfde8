package client

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/opbeans/loadgen/internal/blunt"
	"github.com/opbeans/loadgen/internal/meter"
)

// unobserved is a rig whose samples nobody wants, as in most jobs.
func unobserved(tb testing.TB, url string) *clientRig {
	rig := newRig(tb, testConfig{BaseURL: url})
	rig.wants = false
	rig.rec = meter.New(time.Now(), nil, false)
	rig.stripe, rig.stat = rig.rec.Stripe(0), rig.rec.Task("task")
	return rig
}

func TestClientDoesNotAllocateInSteadyState(t *testing.T) {
	rig := unobserved(t, "http://"+blunt.Listen(t))
	header := []HeaderField{{"X-Test", []byte("1")}}
	for name, r := range map[string]*Call{
		"plain":       {Method: http.MethodGet, Target: []byte("/api/products/3?limit=5")},
		"with header": {Method: http.MethodGet, Target: []byte("/"), Header: header},
		"with body":   {Method: http.MethodPost, Target: []byte("/"), Body: []byte("{}")},
	} {
		t.Run(name, func(t *testing.T) {
			allocs := testing.AllocsPerRun(500, func() {
				if _, err := rig.client.Send(rig.ctx, r); err != nil {
					t.Fatal(err)
				}
			})
			require.Zero(t, allocs)
		})
	}
	t.Run("get", func(t *testing.T) {
		require.Zero(t, testing.AllocsPerRun(500, func() {
			if err := rig.client.Get(rig.ctx, "/api/products"); err != nil {
				t.Fatal(err)
			}
		}))
	})
	t.Run("traced", func(t *testing.T) {
		rig := unobserved(t, rig.cfg.BaseURL)
		rig.aim(testConfig{BaseURL: rig.cfg.BaseURL, Config: Config{Trace: TraceConfig{
			On: true, Ratio: 0.5, State: "es=s:0.5", Baggage: "a=b", Header: "X-Loadgen", Job: "shop",
		}}})
		require.Zero(t, testing.AllocsPerRun(500, func() {
			if err := rig.client.Get(rig.ctx, "/api/products"); err != nil {
				t.Fatal(err)
			}
		}))
	})
	t.Run("observed", func(t *testing.T) {
		rig.wants = true
		require.Zero(t, testing.AllocsPerRun(500, func() {
			if err := rig.client.Get(rig.ctx, "/api/products?limit=5"); err != nil {
				t.Fatal(err)
			}
		}))
	})
}

func BenchmarkGet(b *testing.B) {
	addr := blunt.Listen(b)
	b.Run("client", func(b *testing.B) {
		rig := unobserved(b, "http://"+addr)
		r := &Call{Method: http.MethodGet, Target: []byte("/api/products/3")}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := rig.client.Send(rig.ctx, r); err != nil {
				b.Fatal(err)
			}
		}
	})
	// What fasthttp's codec costs on a connection, with nothing around it.
	b.Run("codec", func(b *testing.B) {
		var d net.Dialer
		c, err := d.DialContext(context.Background(), "tcp", addr)
		require.NoError(b, err)
		defer func() { _ = c.Close() }()
		br, bw := bufio.NewReader(c), bufio.NewWriter(c)
		var req fasthttp.RequestHeader
		var resp fasthttp.ResponseHeader
		req.SetRequestURI("/api/products/3")
		req.SetHost(addr)
		b.ReportAllocs()
		for b.Loop() {
			if err := req.Write(bw); err != nil {
				b.Fatal(err)
			}
			if err := bw.Flush(); err != nil {
				b.Fatal(err)
			}
			if err := resp.Read(br); err != nil {
				b.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, br, int64(resp.ContentLength())); err != nil {
				b.Fatal(err)
			}
		}
	})
}
