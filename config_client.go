package loadgen

import (
	"cmp"
	"slices"
	"time"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/jsonform"
)

// ClientConfig says how the requests of a job are sent. Its fields are keys of the JSON form
// of [JobConfig], beside the others.
type ClientConfig struct {
	// ConnectTimeout bounds name lookup, connect and TLS handshake together;
	// default DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// HeaderTimeout bounds the wait from the request sent to the end of the
	// response's header. Zero: only Timeout bounds it.
	HeaderTimeout time.Duration
	// Timeout bounds one request from connecting to the last byte of the body;
	// default DefaultTimeout. Each redirect is a request of its own.
	Timeout time.Duration
	// MaxBody is the largest response body in bytes; a longer one is a failure
	// of class protocol. Default DefaultMaxBody.
	MaxBody int64
	// HTTP is the protocol version; default HTTPAuto.
	HTTP HTTPVersion
	// Reuse says who may use a connection again; default ReuseVU.
	Reuse Reuse
	// Proxy is the URL of a proxy for all requests: http, https, socks5 (names are
	// looked up here) or socks5h (there), with user and password if it asks for
	// them. Empty: none; the environment is not asked. Over http and https it
	// forwards requests of plain HTTP/1.1, and is asked for a tunnel (CONNECT) for
	// others.
	Proxy string
	// ConnectTo leads connections elsewhere: from the host and port of a URL
	// ("shop.test:443") to another host and port, or to a Unix socket
	// ("unix:/run/shop.sock", if the Manager allows it: see [WithUnixSockets]).
	// Header, TLS name and statistics are those of the URL. Such connections do not
	// take the Proxy.
	ConnectTo map[string]string
	// LocalAddr is the IP address of this machine that connections begin at. Empty:
	// what the system picks. Not with [WithDialContext].
	LocalAddr string
	// DNSTTL is how long the addresses of a name are remembered, by all jobs of the
	// Manager; default DefaultDNSTTL, Off to look it up for each connection.
	// Connections go to the addresses of a name in turn; where one is refused, the
	// next is tried. Ignored with [WithDialContext], whose dialer gets the name.
	DNSTTL time.Duration
	// Insecure accepts any certificate of a server, or of a proxy.
	Insecure bool
	// CACerts are the certificates, in PEM form, of the authorities that are trusted
	// instead of the system's or of those of [WithTLSConfig]. Certificates of the
	// client have private keys, which have no place in a JobConfig: WithTLSConfig
	// takes them.
	CACerts string
}

// HTTPVersion is the version of HTTP that a job speaks.
type HTTPVersion string

// The versions of HTTP.
const (
	HTTPAuto HTTPVersion = ""    // HTTP/1.1, and HTTP/2 where a TLS server prefers it
	HTTP1    HTTPVersion = "1.1" // HTTP/1.1 alone
	HTTP2    HTTPVersion = "2"   // HTTP/2 alone, with prior knowledge over plain http
)

// Reuse says who may use a connection again.
type Reuse string

// The kinds of reuse.
const (
	ReuseVU     Reuse = "vu"     // the VU that has opened it; empty text means the same
	ReuseShared Reuse = "shared" // all VUs: as many connections as requests at a time, with HTTP/2 about one
	ReuseNone   Reuse = "none"   // nobody: each request has a connection of its own
)

// check looks at what is about clients alone.
func (c *ClientConfig) check(f *fault.List) {
	const day = 24 * time.Hour
	checkSpan(f, "connect_timeout", c.ConnectTimeout, day)
	checkSpan(f, "header_timeout", c.HeaderTimeout, 365*day)
	checkSpan(f, "timeout", c.Timeout, 365*day)
	if c.MaxBody < 0 {
		f.Add("max_body", "must not be negative")
	}
	if !slices.Contains([]HTTPVersion{HTTPAuto, HTTP1, HTTP2}, c.HTTP) {
		f.Add("http", "must be \"1.1\", \"2\", or empty to negotiate, not %q", c.HTTP)
	}
}

// setDefaults fills in every zero field that has a default.
func (c *ClientConfig) setDefaults() {
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, DefaultConnectTimeout)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.DNSTTL = cmp.Or(c.DNSTTL, DefaultDNSTTL)
	c.MaxBody = cmp.Or(c.MaxBody, DefaultMaxBody)
}

// client is the part of c that the client of each VU needs.
func (c *JobConfig) client() *client.Config {
	out := &client.Config{
		ConnectTimeout: c.Client.ConnectTimeout, HeaderTimeout: c.Client.HeaderTimeout, Timeout: c.Client.Timeout,
		MaxBody: c.Client.MaxBody, HTTP: string(c.Client.HTTP), Reuse: string(c.Client.Reuse), Proxy: c.Client.Proxy,
		ConnectTo: c.Client.ConnectTo, LocalAddr: c.Client.LocalAddr, DNSTTL: c.Client.DNSTTL,
		Insecure: c.Client.Insecure, CACerts: c.Client.CACerts, Headers: c.Headers,
		Trace: client.TraceConfig{
			On: c.Trace.Enabled, Ratio: cmp.Or(c.Trace.Ratio, 1), State: c.Trace.State, Baggage: c.Trace.Baggage,
			Header: c.Trace.Header, Seed: c.Seed, Job: c.Name,
		},
	}
	if c.Trace.Ratio == Off {
		out.Trace.Ratio = 0
	}
	return out
}

// clientFields lists the keys of c.Client in the JSON form of c.
func clientFields() []configField {
	return []configField{
		jsonform.Seconds("connect_timeout", false, func(c *JobConfig) *time.Duration { return &c.Client.ConnectTimeout }),
		jsonform.Seconds("header_timeout", false, func(c *JobConfig) *time.Duration { return &c.Client.HeaderTimeout }),
		jsonform.Seconds("timeout", false, func(c *JobConfig) *time.Duration { return &c.Client.Timeout }),
		jsonform.Count("max_body", false, func(c *JobConfig) *int64 { return &c.Client.MaxBody }),
		jsonform.Text("http", false, func(c *JobConfig) *string { return (*string)(&c.Client.HTTP) }),
		jsonform.Text("reuse", false, func(c *JobConfig) *string { return (*string)(&c.Client.Reuse) }),
		jsonform.Text("proxy", false, func(c *JobConfig) *string { return &c.Client.Proxy }),
		jsonform.Texts("connect_to", func(c *JobConfig) *map[string]string { return &c.Client.ConnectTo }),
		jsonform.Text("local_addr", false, func(c *JobConfig) *string { return &c.Client.LocalAddr }),
		jsonform.SecondsOrOff("dns_ttl", func(c *JobConfig) *time.Duration { return &c.Client.DNSTTL }),
		jsonform.Flag("insecure", func(c *JobConfig) *bool { return &c.Client.Insecure }),
		jsonform.Text("ca_certs", false, func(c *JobConfig) *string { return &c.Client.CACerts }),
	}
}
