package loadgen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
)

// authority is a certificate authority of a test.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
	next int64
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, key := a.sign(name, template)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	a.key, a.cert = key, cert
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

func (a *authority) sign(name string, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	a.next++
	template.SerialNumber = big.NewInt(a.next)
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	return der, key
}

// issue makes a certificate for a server at 127.0.0.1, or for a client.
func (a *authority) issue(name string) tls.Certificate {
	der, key := a.sign(name, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"shop.test"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// serve is a server that tells who asks, and whether the session was resumed.
func (a *authority) serve(http2 bool, config *tls.Config) string {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			who = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		_, _ = fmt.Fprintf(w, "%s %s resumed=%v", r.Proto, who, r.TLS.DidResume)
	}))
	srv.EnableHTTP2 = http2
	srv.TLS = config
	srv.TLS.Certificates = []tls.Certificate{a.issue("server")}
	srv.Config.ErrorLog = quiet()
	srv.StartTLS()
	a.t.Cleanup(srv.Close)
	return srv.URL
}

func TestTLSSessionsAreResumed(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(proto+" "+name, func(t *testing.T) {
				ca := newAuthority(t, "ca")
				url := ca.serve(proto == "HTTP/2.0", &tls.Config{MaxVersion: version}) //nolint:gosec // the point
				cfg := testConfig{BaseURL: url, clientConfig: clientConfig{CACerts: ca.pem, Reuse: "none"}}
				rig := newRig(t, cfg)
				get := func() string { return string(rig.mustDo(testRequest{URL: "/"}).Body) }
				assert.Equal(t, proto+" nobody resumed=false", get())
				assert.Equal(t, proto+" nobody resumed=true", get())
				assert.Equal(t, proto+" nobody resumed=true", get())

				other := newRig(t, cfg)
				assert.Equal(t, proto+" nobody resumed=false", string(other.mustDo(testRequest{URL: "/"}).Body), "a user of its own")

				cfg.CACerts += "\n" + newAuthority(t, "another").pem
				rig.aim(cfg)
				assert.Equal(t, proto+" nobody resumed=false", get(), "what others have verified does not count")
			})
		}
	}
	t.Run("not if the Manager says so", func(t *testing.T) {
		ca := newAuthority(t, "ca")
		rig := newRig(t, testConfig{BaseURL: ca.serve(false, &tls.Config{}), clientConfig: clientConfig{Reuse: "none"}}, //nolint:gosec // a test
			withTLS(&tls.Config{RootCAs: ca.pool(), SessionTicketsDisabled: true})) //nolint:gosec // a test
		for range 2 {
			assert.Equal(t, "HTTP/1.1 nobody resumed=false", string(rig.mustDo(testRequest{URL: "/"}).Body))
		}
	})
	t.Run("memory is bounded", func(t *testing.T) {
		ca := newAuthority(t, "ca")
		rig := newRig(t, testConfig{BaseURL: "https://shop.test", clientConfig: clientConfig{CACerts: ca.pem, Reuse: "none"}})
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
				ca := newAuthority(t, "ca")
				url := ca.serve(proto == "HTTP/2.0", &tls.Config{ //nolint:gosec // a test
					ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(), MinVersion: version, MaxVersion: version,
				})
				with := func(cert tls.Certificate) *clientRig {
					return newRig(t, testConfig{BaseURL: url},
						withTLS(&tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{cert}})) //nolint:gosec // a test
				}
				assert.Equal(t, proto+" alice resumed=false", string(with(ca.issue("alice")).mustDo(testRequest{URL: "/"}).Body))

				for who, rig := range map[string]*clientRig{
					"nobody":          newRig(t, testConfig{BaseURL: url, clientConfig: clientConfig{CACerts: ca.pem}}),
					"somebody else's": with(newAuthority(t, "other").issue("mallory")),
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
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	url := ca.serve(false, &tls.Config{}) //nolint:gosec // a test
	for _, c := range []struct {
		name    string
		cfg     testConfig
		manager *tls.Config
		ok      bool
	}{
		{"the system's authorities", testConfig{}, nil, false},
		{"the job's authority", testConfig{clientConfig: clientConfig{CACerts: ca.pem}}, nil, true},
		{"one of two", testConfig{clientConfig: clientConfig{CACerts: other.pem + ca.pem}}, nil, true},
		{"another authority", testConfig{clientConfig: clientConfig{CACerts: other.pem}}, nil, false},
		{"instead of the Manager's", testConfig{clientConfig: clientConfig{CACerts: other.pem}}, &tls.Config{RootCAs: ca.pool()}, false}, //nolint:gosec // a test
		{"insecure", testConfig{clientConfig: clientConfig{Insecure: true}}, nil, true},
		{"another name", testConfig{clientConfig: clientConfig{CACerts: ca.pem}}, &tls.Config{ServerName: "other.test"}, false}, //nolint:gosec // a test
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
		rig := newRig(t, testConfig{BaseURL: url, clientConfig: clientConfig{Insecure: true}})
		rig.mustDo(testRequest{URL: "/"})
		cn := rig.client.idle[0]
		rig.aim(testConfig{BaseURL: url, clientConfig: clientConfig{Insecure: true, Timeout: time.Minute}})
		rig.mustDo(testRequest{URL: "/"})
		assert.Same(t, cn, rig.client.idle[0], "what still serves is kept")
		rig.aim(testConfig{BaseURL: url})
		_, err := rig.do(testRequest{URL: "/"})
		classIs(t, err, failure.TLS, "certificate")
		_, err = cn.raw.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed, "a server that was not verified is not used any more")
	})
}
