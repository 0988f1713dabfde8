package client

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/testtarget"
)

func TestTLSSessionsAreResumed(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(proto+" "+name, func(t *testing.T) {
				ca := testtarget.NewAuthority(t, "ca")
				url := ca.Serve(proto == "HTTP/2.0", &tls.Config{MaxVersion: version}) //nolint:gosec // the point
				cfg := testConfig{BaseURL: url, Config: Config{CACerts: ca.Pem, Reuse: "none"}}
				rig := newRig(t, cfg)
				get := func() string { return string(rig.mustDo(testRequest{URL: "/"}).Body) }
				assert.Equal(t, proto+" nobody resumed=false", get())
				assert.Equal(t, proto+" nobody resumed=true", get())
				assert.Equal(t, proto+" nobody resumed=true", get())

				other := newRig(t, cfg)
				assert.Equal(t, proto+" nobody resumed=false", string(other.mustDo(testRequest{URL: "/"}).Body), "a user of its own")

				cfg.CACerts += "\n" + testtarget.NewAuthority(t, "another").Pem
				rig.aim(cfg)
				assert.Equal(t, proto+" nobody resumed=false", get(), "what others have verified does not count")
			})
		}
	}
	t.Run("not if the Manager says so", func(t *testing.T) {
		ca := testtarget.NewAuthority(t, "ca")
		rig := newRig(t, testConfig{BaseURL: ca.Serve(false, &tls.Config{}), Config: Config{Reuse: "none"}}, //nolint:gosec // a test
			withTLS(&tls.Config{RootCAs: ca.Pool(), SessionTicketsDisabled: true})) //nolint:gosec // a test
		for range 2 {
			assert.Equal(t, "HTTP/1.1 nobody resumed=false", string(rig.mustDo(testRequest{URL: "/"}).Body))
		}
	})
	t.Run("memory is bounded", func(t *testing.T) {
		ca := testtarget.NewAuthority(t, "ca")
		rig := newRig(t, testConfig{BaseURL: "https://shop.test", Config: Config{CACerts: ca.Pem, Reuse: "none"}})
		var at *tickets
		cache := rig.target.resumes(&at)
		for i := range 2 * maxTickets {
			cache.Put(fmt.Sprint(i), &tls.ClientSessionState{})
		}
		_, ok := cache.Get("0")
		assert.False(t, ok)
	})
}

// A server that wants a certificate says so in the handshake of TLS 1.2. With 1.3 the
// client has ended its side of the handshake by then, and reads it instead of an answer.
func TestClientCertificates(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(proto+" "+name, func(t *testing.T) {
				ca := testtarget.NewAuthority(t, "ca")
				url := ca.Serve(proto == "HTTP/2.0", &tls.Config{ //nolint:gosec // a test
					ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MinVersion: version, MaxVersion: version,
				})
				with := func(cert tls.Certificate) *clientRig {
					return newRig(t, testConfig{BaseURL: url},
						withTLS(&tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{cert}})) //nolint:gosec // a test
				}
				assert.Equal(t, proto+" alice resumed=false", string(with(ca.Issue("alice")).mustDo(testRequest{URL: "/"}).Body))

				for who, rig := range map[string]*clientRig{
					"nobody":          newRig(t, testConfig{BaseURL: url, Config: Config{CACerts: ca.Pem}}),
					"somebody else's": with(testtarget.NewAuthority(t, "other").Issue("mallory")),
				} {
					_, err := rig.do(testRequest{Method: http.MethodPost, URL: "/", Body: []byte("x")})
					require.Error(t, err, who)
					classIs(t, err, failure.TLS, "tls: ")
					assert.Equal(t, failure.TLS, rig.only().Class, who)
				}
			})
		}
	}
}

func TestTrust(t *testing.T) {
	ca, other := testtarget.NewAuthority(t, "ca"), testtarget.NewAuthority(t, "other")
	url := ca.Serve(false, &tls.Config{}) //nolint:gosec // a test
	for _, c := range []struct {
		name    string
		cfg     testConfig
		manager *tls.Config
		ok      bool
	}{
		{"the system's authorities", testConfig{}, nil, false},
		{"the job's authority", testConfig{Config: Config{CACerts: ca.Pem}}, nil, true},
		{"one of two", testConfig{Config: Config{CACerts: other.Pem + ca.Pem}}, nil, true},
		{"another authority", testConfig{Config: Config{CACerts: other.Pem}}, nil, false},
		{"instead of the Manager's", testConfig{Config: Config{CACerts: other.Pem}}, &tls.Config{RootCAs: ca.Pool()}, false}, //nolint:gosec // a test
		{"insecure", testConfig{Config: Config{Insecure: true}}, nil, true},
		{"another name", testConfig{Config: Config{CACerts: ca.Pem}}, &tls.Config{ServerName: "other.test"}, false}, //nolint:gosec // a test
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.BaseURL = url
			rig := newRig(t, c.cfg, withTLS(c.manager))
			_, err := rig.do(testRequest{URL: "/"})
			if c.ok {
				require.NoError(t, err)
				return
			}
			classIs(t, err, failure.TLS, "certificate")
		})
	}
	t.Run("changes in a running job", func(t *testing.T) {
		rig := newRig(t, testConfig{BaseURL: url, Config: Config{Insecure: true}})
		rig.mustDo(testRequest{URL: "/"})
		cn := rig.client.idle[0]
		rig.aim(testConfig{BaseURL: url, Config: Config{Insecure: true, Timeout: time.Minute}})
		rig.mustDo(testRequest{URL: "/"})
		assert.Same(t, cn, rig.client.idle[0], "what still serves is kept")
		rig.aim(testConfig{BaseURL: url})
		_, err := rig.do(testRequest{URL: "/"})
		classIs(t, err, failure.TLS, "certificate")
		_, err = cn.raw.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed, "a server that was not verified is not used any more")
	})
}
