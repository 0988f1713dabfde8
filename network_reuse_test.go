package loadgen

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/testtarget"
)

func TestReuse(t *testing.T) {
	// net/http has a new connection of HTTP/2 in its pool only after the request that
	// asked for it has got it: the next request, if it comes in between, opens a second.
	for _, c := range []struct {
		reuse, http string
		least, most int64 // connections
	}{
		{"", "1.1", 10, 10},
		{"vu", "1.1", 10, 10},
		{"", "2", 10, 20},
		{"shared", "1.1", 1, 1},
		{"shared", "2", 1, 2},
		{"shared", "", 1, 2},
		{"none", "1.1", 100, 100},
		{"none", "2", 100, 100},
	} {
		for _, encrypted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q %q %v", c.reuse, c.http, encrypted), func(t *testing.T) {
				url, conns, option := counting(t, c.http, encrypted)
				m := New(option)
				defer m.Close()
				// One after the other, so that it is known how many there are.
				s, done := taking(10, 100)
				job, err := m.Start(t.Context(), JobConfig{
					Name: "job", BaseURL: url, Client: ClientConfig{HTTP: HTTPVersion(c.http), Reuse: Reuse(c.reuse)}, Workers: 10, Grace: Off, Scenario: s,
				})
				require.NoError(t, err)
				<-done
				job.Stop()
				require.NoError(t, job.Wait(t.Context()))
				snap := job.Snapshot()
				assert.EqualValues(t, 100, snap.Requests)
				assert.Zero(t, snap.FailedIterations, "%v", snap.Errors)
				assert.LessOrEqual(t, c.least, conns.Load())
				assert.GreaterOrEqual(t, c.most, conns.Load())
				assert.True(t, job.shared.Empty(), "nothing is left")
			})
		}
	}
}

// TestSharedConnectionsUnderLoad has VUs use, update and leave shared connections at the
// same time.
func TestSharedConnectionsUnderLoad(t *testing.T) {
	for _, version := range []string{"1.1", "2", ""} {
		t.Run(fmt.Sprintf("%q", version), func(t *testing.T) {
			url, _, option := counting(t, version, true)
			m := New(option)
			defer m.Close()
			job, err := m.Start(t.Context(), JobConfig{
				Name: "job", BaseURL: url, Client: ClientConfig{HTTP: HTTPVersion(version), Reuse: "shared"}, Workers: 20, Scenario: getsAndMore(),
			})
			require.NoError(t, err)
			for i, change := range []func(*JobConfig){
				func(c *JobConfig) { c.Workers = 3 },
				func(c *JobConfig) { c.Client.Reuse = "vu" },
				func(c *JobConfig) { c.Client.Reuse, c.Workers = "shared", 30 },
				func(c *JobConfig) { c.Client.ConnectTo = map[string]string{"elsewhere.test:1": "127.0.0.1:1"} },
				func(c *JobConfig) { c.Client.Reuse = "none" },
				func(c *JobConfig) { c.Client.Reuse, c.Client.Insecure = "shared", true },
			} {
				for want := job.Snapshot().Requests + 200; job.Snapshot().Requests < want; {
					if job.State() != StateRunning {
						t.Fatal("the job has ended", job.Status().Reason)
					}
				}
				require.NoError(t, job.Update(change), "change %d", i)
			}
			for want := job.Snapshot().Requests + 200; job.Snapshot().Requests < want; {
			}
			job.Stop()
			require.NoError(t, job.Wait(t.Context()))
			snap := job.Snapshot()
			assert.Zero(t, snap.FailedIterations, "%v", snap.Errors)
			assert.True(t, job.shared.Empty(), "nothing is left")
		})
	}
}

func TestNetworkSettingsAreValidated(t *testing.T) {
	ca := testtarget.NewAuthority(t, "ca")
	whole := JobConfig{
		Name: "job", ScenarioName: "s", BaseURL: "https://shop.test", Client: ClientConfig{Reuse: "shared", Proxy: "socks5h://proxy", ConnectTo: map[string]string{"shop.test:443": "10.0.0.1:8443", "[::1]:80": "unix:/run/shop.sock"}, LocalAddr: "fd00::1", DNSTTL: Off, Insecure: true, CACerts: ca.Pem},
	}
	require.NoError(t, whole.Validate())
	for _, c := range []struct {
		field  string
		change func(*JobConfig)
	}{
		{"reuse", func(c *JobConfig) { c.Client.Reuse = "all" }},
		{"proxy", func(c *JobConfig) { c.Client.Proxy = "proxy:3128" }},
		{"connect_to.shop.test", func(c *JobConfig) { c.Client.ConnectTo = map[string]string{"shop.test": "other:1"} }},
		{"connect_to.a b:1", func(c *JobConfig) { c.Client.ConnectTo = map[string]string{"a b:1": "other:1"} }},
		{"connect_to.shop.test:80", func(c *JobConfig) { c.Client.ConnectTo = map[string]string{"shop.test:80": "other"} }},
		{"connect_to.shop.test:80", func(c *JobConfig) { c.Client.ConnectTo = map[string]string{"shop.test:80": "other:0"} }},
		{"connect_to.shop.test:80", func(c *JobConfig) { c.Client.ConnectTo = map[string]string{"shop.test:80": "unix:run/x"} }},
		{"connect_to.shop.test:80", func(c *JobConfig) { c.Client.ConnectTo = map[string]string{"shop.test:80": "unix:/run/../x"} }},
		{"local_addr", func(c *JobConfig) { c.Client.LocalAddr = "localhost" }},
		{"local_addr", func(c *JobConfig) { c.Client.LocalAddr = "::ffff:127.0.0.1" }},
		{"dns_ttl", func(c *JobConfig) { c.Client.DNSTTL = -2 }},
		{"ca_certs", func(c *JobConfig) { c.Client.CACerts = "nonsense" }},
		{"ca_certs", func(c *JobConfig) { c.Client.CACerts += "-----BEGIN EC PRIVATE KEY-----\n" }},
	} {
		cfg := whole
		c.change(&cfg)
		var invalid *ValidationError
		require.ErrorAs(t, cfg.Validate(), &invalid, c.field)
		require.Len(t, invalid.Fields, 1)
		assert.Equal(t, c.field, invalid.Fields[0].Field)
	}
}

func TestUnixSocketsNeedLeave(t *testing.T) {
	cfg := JobConfig{
		Name: "job", Scenario: NewScenario("s").Task("t", 1, func(context.Context, *VU) error { return nil }),
		BaseURL: "http://shop.test", Client: ClientConfig{ConnectTo: map[string]string{"shop.test:80": "unix:/run/shop.sock"}},
	}
	for _, m := range []*Manager{New(), New(WithUnixSockets(func(string) bool { return false }))} {
		_, err := m.Start(t.Context(), cfg)
		var invalid *ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, "connect_to.shop.test:80", invalid.Fields[0].Field)
		m.Close()
	}
}

// counting is a server that counts connections.
func counting(t testing.TB, version string, encrypted bool) (url string, conns *atomic.Int64, option Option) {
	t.Helper()
	if encrypted {
		conns = new(atomic.Int64)
		srv := httptest.NewUnstartedServer(http.HandlerFunc(testtarget.Sees))
		srv.EnableHTTP2 = version != "1.1"
		srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		}
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return srv.URL, conns, WithTLSConfig(srv.Client().Transport.(*http.Transport).TLSClientConfig)
	}
	conns = new(atomic.Int64)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(testtarget.Sees))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL, conns, func(*environment) {}
}

// taking is a scenario in which a number of VUs take turns, until there were so many
// iterations.
func taking(vus, iterations int) (s *Scenario, done chan struct{}) {
	var mu sync.Mutex
	turns, turned := 0, sync.NewCond(&mu)
	done = make(chan struct{})
	return NewScenario("turns").Task("get", 1, func(ctx context.Context, vu *VU) error {
		mu.Lock()
		for turns < iterations && turns%vus != vu.ID() {
			turned.Wait()
		}
		if turns >= iterations {
			mu.Unlock()
			<-ctx.Done()
			return ctx.Err()
		}
		defer mu.Unlock()
		err := vu.Get(ctx, "/")
		if turns++; turns == iterations {
			close(done)
		}
		turned.Broadcast()
		return err
	}), done
}

// getsAndMore uses connections in both ways there are.
func getsAndMore() *Scenario {
	return NewScenario("both").
		Task("get", 1, func(ctx context.Context, vu *VU) error { return vu.Get(ctx, "/x") }).
		Task("std", 1, func(ctx context.Context, vu *VU) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, vu.BaseURL()+"/y", nil)
			if err != nil {
				return err
			}
			resp, err := vu.HTTPClient().Do(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
}
