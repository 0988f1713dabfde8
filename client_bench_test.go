package loadgen

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

	"github.com/opbeans/loadgen/internal/meter"
)

// blunt is a server that costs next to nothing: one fixed answer per read.
func blunt(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nServer: blunt\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n" +
		"Content-Type: text/html\r\nContent-Length: 15\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n" +
		"Connection: keep-alive\r\nETag: \"5e1d3c0a-f\"\r\nAccept-Ranges: bytes\r\n\r\nHello, world!\r\n")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				b := make([]byte, 4096)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// unobserved is a rig whose samples nobody wants, as in most jobs.
func unobserved(tb testing.TB, url string) *clientRig {
	rig := newRig(tb, JobConfig{BaseURL: url})
	rig.job.rec = meter.New(time.Now(), nil, false)
	rig.stripe = rig.job.rec.Stripe(0)
	rig.task.stat = rig.job.rec.Task("task")
	return rig
}

func TestClientDoesNotAllocateInSteadyState(t *testing.T) {
	rig := unobserved(t, "http://"+blunt(t))
	header := []headerField{{"X-Test", []byte("1")}}
	for name, r := range map[string]*call{
		"plain":       {method: http.MethodGet, target: []byte("/api/products/3?limit=5")},
		"with header": {method: http.MethodGet, target: []byte("/"), header: header},
		"with body":   {method: http.MethodPost, target: []byte("/"), body: []byte("{}")},
	} {
		t.Run(name, func(t *testing.T) {
			allocs := testing.AllocsPerRun(500, func() {
				if _, err := rig.client.send(rig.ctx, r); err != nil {
					t.Fatal(err)
				}
			})
			require.Zero(t, allocs)
		})
	}
	t.Run("get", func(t *testing.T) {
		require.Zero(t, testing.AllocsPerRun(500, func() {
			if err := rig.client.get(rig.ctx, "/api/products"); err != nil {
				t.Fatal(err)
			}
		}))
	})
	t.Run("traced", func(t *testing.T) {
		rig := unobserved(t, rig.cfg.BaseURL)
		rig.aim(JobConfig{
			Name: "shop", BaseURL: rig.cfg.BaseURL, Trace: true, TraceRatio: 0.5, TraceState: "es=s:0.5",
			Baggage: "a=b", TraceHeader: "X-Loadgen",
		})
		require.Zero(t, testing.AllocsPerRun(500, func() {
			if err := rig.client.get(rig.ctx, "/api/products"); err != nil {
				t.Fatal(err)
			}
		}))
	})
	t.Run("observed", func(t *testing.T) {
		rig.job.rec.Sink = func(full []Sample) []Sample { return full[:0] }
		require.Zero(t, testing.AllocsPerRun(500, func() {
			if err := rig.client.get(rig.ctx, "/api/products?limit=5"); err != nil {
				t.Fatal(err)
			}
		}))
	})
}

func BenchmarkGet(b *testing.B) {
	addr := blunt(b)
	b.Run("client", func(b *testing.B) {
		rig := unobserved(b, "http://"+addr)
		r := &call{method: http.MethodGet, target: []byte("/api/products/3")}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := rig.client.send(rig.ctx, r); err != nil {
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
