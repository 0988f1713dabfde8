// Package testtarget has servers and certificates for tests of clients.
package testtarget

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/opbeans/loadgen/tracecontext"
)

// Shop serves a handler and returns its URL.
func Shop(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv.URL
}

// Sees answers with what the server sees of a request: protocol, host, target and proxy headers.
func Sees(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "%s %s %s via=%q auth=%q", r.Proto, r.Host, r.RequestURI, r.Header.Get("Via"), r.Header.Get("Proxy-Authorization"))
}

// DNS answers questions for A and AAAA records.
type DNS struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	Mu    sync.Mutex
	Names map[string][]string // with a dot at the end
	asked map[string]int      // for A records, by name
}

func (s *DNS) answer(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil, errors.New("not a question")
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	q := m.Questions[0]
	name := q.Name.String()
	if q.Type == dnsmessage.TypeA {
		s.asked[name]++
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if _, ok := s.Names[name]; !ok {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, text := range s.Names[name] {
		a := netip.MustParseAddr(text)
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return m.Pack()
}

// Resolver returns a resolver that asks s.
func (s *DNS) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return s.dial(ctx, network, "")
	}}
}

// Times returns how often the A records of name were asked for.
func (s *DNS) Times(name string) int {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.asked[name]
}

// Set replaces the addresses of name.
func (s *DNS) Set(name string, addrs ...string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.Names[name] = addrs
}

// NewDNS returns a server without a listener, which resolvers reach by dial.
func NewDNS(names map[string][]string, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *DNS {
	return &DNS{Names: names, asked: map[string]int{}, dial: dial}
}

// ServeDNS answers over UDP.
func ServeDNS(t testing.TB, names map[string][]string) *DNS {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	var d net.Dialer
	s := NewDNS(names, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	})

	var wg sync.WaitGroup
	t.Cleanup(func() { _ = pc.Close(); wg.Wait() })
	wg.Go(func() {
		b := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			if answer, err := s.answer(b[:n]); err == nil {
				_, _ = pc.WriteTo(answer, from)
			}
		}
	})
	return s
}

// ServeConn answers over one connection, as DNS over TCP does, each question after a second of
// virtual time.
func (s *DNS) ServeConn(c net.Conn) {
	defer func() { _ = c.Close() }()
	for {
		var size uint16
		if binary.Read(c, binary.BigEndian, &size) != nil {
			return
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		time.Sleep(time.Second) // virtual
		answer, err := s.answer(b)
		if err != nil {
			return
		}
		_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
}

// Authority is a certificate authority of a test.
type Authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	Pem  string
	next int64
}

// NewAuthority makes a certificate authority with a certificate of its own.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{t: t}
	template := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, key := a.Sign(name, template)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	a.key, a.cert = key, cert
	a.Pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// Sign makes a key and a certificate from template, valid from an hour ago for two hours.
func (a *Authority) Sign(name string, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
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

// Issue makes a certificate for a server at 127.0.0.1, or for a client.
func (a *Authority) Issue(name string) tls.Certificate {
	der, key := a.Sign(name, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"shop.test"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Pool returns the certificates that a peer must trust.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Serve starts a server that answers with the client's name, and whether the session was resumed.
func (a *Authority) Serve(http2 bool, config *tls.Config) string {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			who = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		_, _ = fmt.Fprintf(w, "%s %s resumed=%v", r.Proto, who, r.TLS.DidResume)
	}))
	srv.EnableHTTP2 = http2
	srv.TLS = config
	srv.TLS.Certificates = []tls.Certificate{a.Issue("server")}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	a.t.Cleanup(srv.Close)
	return srv.URL
}

// Traced are the trace headers that a server has got, by path.
type Traced struct {
	mu   sync.Mutex
	Seen map[string][]http.Header
}

func (s *Traced) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.Seen == nil {
		s.Seen = map[string][]http.Header{}
	}
	s.Seen[r.URL.Path] = append(s.Seen[r.URL.Path], r.Header.Clone())
	s.mu.Unlock()
	if r.URL.Path == "/from" {
		http.Redirect(w, r, "/to", http.StatusFound)
	}
}

// Contexts are what the server was told at a path.
func (s *Traced) Contexts(t *testing.T, path string) (list []tracecontext.Context) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.Seen[path] {
		require.Len(t, h.Values("Traceparent"), 1)
		c, err := tracecontext.ParseTraceparent([]byte(h.Get("Traceparent")))
		require.NoError(t, err, h.Get("Traceparent"))
		list = append(list, c)
	}
	return list
}
