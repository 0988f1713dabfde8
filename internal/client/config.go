package client

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/textkit"
)

// Config is how requests are sent and targets are reached. Its values are valid, with
// defaults filled in, once check has found no fault.
type Config struct {
	ConnectTimeout time.Duration
	HeaderTimeout  time.Duration // 0: none
	Timeout        time.Duration
	MaxBody        int64
	HTTP           string // "", "1.1" or "2"
	Reuse          string // reuseVU or "", reuseShared, reuseNone
	Proxy          string
	ConnectTo      map[string]string
	LocalAddr      string
	DNSTTL         time.Duration // noCache: each connection looks names up
	Insecure       bool
	CACerts        string
	Headers        map[string]string // of every request
	Trace          TraceConfig
}

// TraceConfig is the trace context that requests carry.
type TraceConfig struct {
	On             bool
	Ratio          float64 // of traces that are sampled
	State, Baggage string
	Header         string // the name of the header that says where a request comes from
	Seed           uint64
	Job            string
}

const (
	noCache time.Duration = -1
	maxTTL                = 100 * 365 * 24 * time.Hour
)

// Check looks at how targets are reached.
func (c *Config) Check(f *fault.List) {
	switch c.Reuse {
	case "", reuseVU, reuseShared, reuseNone:
	default:
		f.Add("reuse", "must be %q (or empty), %q or %q, not %q", reuseVU, reuseShared, reuseNone, c.Reuse)
	}
	if c.Proxy != "" {
		if _, err := parseProxy(c.Proxy); err != nil {
			f.Add("proxy", "%v", err)
		}
	}
	for _, from := range textkit.SortedKeys(c.ConnectTo) {
		if err := checkHostPort(from); err != nil {
			f.Add("connect_to."+from, "must be for a host and port such as shop:80: %v", err)
		} else if err := checkConnectTo(c.ConnectTo[from]); err != nil {
			f.Add("connect_to."+from, "%v", err)
		}
	}
	if c.LocalAddr != "" {
		if a, err := netip.ParseAddr(c.LocalAddr); err != nil || a.Is4In6() {
			f.Add("local_addr", "must be an IP address of this machine, not %q", c.LocalAddr)
		}
	}
	if d := c.DNSTTL; d != noCache && (d < 0 || d > maxTTL) {
		f.Add("dns_ttl", "must be from 0 to %s, not %s", maxTTL, d)
	}
	switch {
	case c.CACerts == "":
	case strings.Contains(c.CACerts, "PRIVATE KEY"):
		f.Add("ca_certs", "must hold no private key: configurations are shown")
	case !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CACerts)):
		f.Add("ca_certs", "must hold at least one certificate, in PEM form")
	}
}

func checkConnectTo(to string) error {
	if socket, ok := strings.CutPrefix(to, unixPrefix); ok {
		if !path.IsAbs(socket) || path.Clean(socket) != socket || strings.Contains(socket, "\x00") {
			return fmt.Errorf("must have an absolute path after unix:, such as unix:/run/shop.sock, not %q", socket)
		}
		return nil
	}
	if err := checkHostPort(to); err != nil {
		return fmt.Errorf("must lead to a host and port, or to unix:/PATH: %w", err)
	}
	return nil
}

func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return err
	}
	if err := textkit.CheckPort(port); err != nil {
		return err
	}
	if !textkit.IsHost(host) {
		return fmt.Errorf("host %q is not valid", host)
	}
	return nil
}
