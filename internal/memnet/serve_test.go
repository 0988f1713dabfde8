package memnet_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/memnet"
)

func get(ctx context.Context, client *http.Client, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func TestServe(t *testing.T) {
	big := strings.Repeat("0123456789", 50_000)
	dial, stop := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host+r.URL.Path+big)
	}))
	defer stop()
	transport := &http.Transport{DialContext: dial}
	defer transport.CloseIdleConnections()
	for _, host := range []string{"shop", "cafe:8000"} {
		status, body, err := get(t.Context(), &http.Client{Transport: transport}, "http://"+host+"/path")
		require.NoError(t, err)
		assert.Equal(t, 200, status)
		assert.True(t, host+"/path"+big == body, "the body differs")
	}
	stop()
	stop()
	_, err := dial(t.Context(), "tcp", "shop:80")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestServeNeedsAFreeAddress(t *testing.T) {
	n := memnet.New()
	stop, err := n.Serve("shop:80", http.NotFoundHandler())
	require.NoError(t, err)
	_, err = n.Serve("shop:80", http.NotFoundHandler())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	stop()
	stop, err = n.Serve("shop:80", http.NotFoundHandler())
	require.NoError(t, err)
	stop()
}

// stop ends requests that are being served, and returns after their handlers.
func TestStopEndsRunningRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		served := false
		dial, stop := memnet.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(time.Second)
			served = true
		}))
		transport := &http.Transport{DialContext: dial}
		failed := make(chan error)
		go func() {
			_, _, err := get(t.Context(), &http.Client{Transport: transport}, "http://shop/")
			failed <- err
		}()
		synctest.Wait()
		stop()
		assert.True(t, served)
		require.Error(t, <-failed)
	})
}

// A thousand clients that wait an hour for a server take no time.
func TestServeInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(time.Hour)
		}))
		defer stop()
		start := time.Now()
		done := make(chan error)
		for range 1000 {
			go func() {
				transport := &http.Transport{DialContext: dial}
				defer transport.CloseIdleConnections()
				_, _, err := get(t.Context(), &http.Client{Transport: transport}, "http://shop/")
				done <- err
			}()
		}
		for range 1000 {
			require.NoError(t, <-done)
		}
		assert.Equal(t, time.Hour, time.Since(start))
	})
}

// The cost of a request over the network alone: a byte there, a byte back.
func BenchmarkRoundTrip(b *testing.B) {
	n := memnet.New()
	l, err := n.Listen("shop:80")
	require.NoError(b, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, onlyReader{c})
	}()
	c, err := n.DialContext(b.Context(), "tcp", "shop:80")
	require.NoError(b, err)
	defer c.Close()
	p := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, p); err != nil {
			b.Fatal(err)
		}
	}
}

type onlyReader struct{ net.Conn }

// A request of net/http's client to net/http's server.
func BenchmarkHTTP(b *testing.B) {
	dial, stop := memnet.Serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer stop()
	transport := &http.Transport{DialContext: dial}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := get(b.Context(), client, "http://shop/"); err != nil {
			b.Fatal(err)
		}
	}
}
