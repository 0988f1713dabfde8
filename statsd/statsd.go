// Package statsd sends what a [loadgen.Manager] measures to a StatsD server, and
// builds the same statistics in memory for those who read them without one.
//
// An [Observer] writes the lines that Molotov 2.4 would have written, two for each
// request, so that dashboards made for it go on working; see [Names] for the other
// forms. g2s formats the lines; a writer of this package packs them into datagrams.
//
//	o, err := statsd.New("udp://localhost:8125")
//	if err != nil {
//		return err
//	}
//	defer o.Close()
//	m := loadgen.New(loadgen.WithObserver(o))
//	defer m.Close()
//	o.Watch(ctx, m)
//
// # What is exact
//
// Up to 5,000 requests a second (see [WithExactUpTo]) each request has lines of its
// own, `…|ms` and `…:1|c`. Above that, counts are added up and written ten times a
// second (`…:37|c`), or once where they are many, so that they stay exact. Of the
// timings some are written, picked at random, each with the rate that says how many it
// stands for (`…:12|ms|@0.1`). The rates are such that the number of timings a server
// works out is that of the requests, too.
//
// What the network or a slow Observer cost is counted: see [Observer.Dropped] and
// [loadgen.Manager.DroppedSamples].
package statsd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/textkit"
)

const (
	defaultPort  = "8125"
	defaultMTU   = 1432 // an Ethernet frame, less what tunnels and IPv6 take
	minMTU       = 64
	maxMTU       = 65507 // of UDP over IPv4
	defaultExact = 5000

	flushEvery = 100 * time.Millisecond
)

// settings are what the options set up.
type settings struct {
	names    Names
	hostname string
	mtu      int
	exact    int // requests a second; 0: all
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	resolve  func(ctx context.Context, host string) (netip.Addr, error)
}

// Option configures an [Observer] or a [Bridge]. The order of options does not
// matter.
type Option func(*settings)

// WithNames chooses how buckets are named. The default of an Observer is
// [NamesMolotov], that of a Bridge [NamesMolotovIP].
func WithNames(n Names) Option { return func(s *settings) { s.names = n } }

// WithHostname sets the name of this host in bucket names; the default is
// [os.Hostname].
func WithHostname(name string) Option { return func(s *settings) { s.hostname = name } }

// WithMTU sets the largest datagram in bytes, from 64 to 65507; the default is
// 1432. A line that is longer has a datagram of its own.
func WithMTU(bytes int) Option { return func(s *settings) { s.mtu = bytes } }

// WithExactUpTo sets the number of requests a second up to which each request has
// lines of its own; the default is 5,000. With 0 each always has, at whatever cost:
// about a microsecond a request.
func WithExactUpTo(requestsPerSecond int) Option {
	return func(s *settings) { s.exact = requestsPerSecond }
}

// WithDialContext replaces the network towards the StatsD server.
func WithDialContext(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(s *settings) { s.dial = dial }
}

// WithResolver replaces the lookup of IPv4 addresses for [NamesMolotovIP], which is for
// requests that do not tell where they went, or have got nowhere. It must be safe for
// concurrent use.
func WithResolver(resolve func(ctx context.Context, host string) (netip.Addr, error)) Option {
	return func(s *settings) { s.resolve = resolve }
}

// newSettings applies options and checks the result.
func newSettings(names Names, opts []Option) (*settings, error) {
	s := &settings{
		names: names, mtu: defaultMTU, exact: defaultExact,
		dial: (&net.Dialer{}).DialContext, resolve: lookupIPv4,
	}
	for _, opt := range opts {
		opt(s)
	}
	if s.hostname == "" {
		var err error
		if s.hostname, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("statsd: %w", err)
		}
	}
	switch {
	case !s.names.known():
		return nil, fmt.Errorf("statsd: names are %s, %s or %s, not %q", NamesMolotov, NamesMolotovIP, NamesLoadgen, s.names)
	case s.mtu < minMTU || s.mtu > maxMTU:
		return nil, fmt.Errorf("statsd: an MTU is from %d to %d bytes, not %d", minMTU, maxMTU, s.mtu)
	case s.exact < 0:
		return nil, errors.New("statsd: the number of exact requests a second is negative")
	}
	return s, nil
}

// Observer is a [loadgen.Observer] that writes to a StatsD server over UDP. It never
// waits for the network. Observe is for the one goroutine that the Manager calls it
// on; all other methods are safe for concurrent use. An Observer must be closed,
// after its Manager.
type Observer struct {
	core
	link   *link
	sender sync.WaitGroup
}

// New returns an Observer that writes to addr: "udp://host:port", "host:port" or
// "host" (port 8125). It fails if the address or an option is not valid. If the name of the host
// cannot be resolved, the Observer tries again every five seconds while there is load, and drops
// lines meanwhile: see Unreached. UDP does not report whether a server is there.
func New(addr string, opts ...Option) (*Observer, error) {
	s, err := newSettings(NamesMolotov, opts)
	if err != nil {
		return nil, err
	}
	hostport, err := parseAddr(addr)
	if err != nil {
		return nil, err
	}
	l := newLink(func(ctx context.Context) (net.Conn, error) { return s.dial(ctx, "udp", hostport) })
	out, err := newLines(l, s.mtu)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("statsd: %w", err), l.conn.Close())
	}
	o := &Observer{link: l}
	o.init(s, out)
	o.sender.Go(func() { l.run(o.flush) })
	return o, nil
}

// parseAddr returns the host and port of an address.
func parseAddr(addr string) (string, error) {
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" {
		u, err = url.Parse("udp://" + addr)
	}
	if err != nil || u.Scheme != "udp" || u.Hostname() == "" || u.User != nil ||
		(u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("statsd: the address %q is not of the form udp://host:port", addr)
	}
	port := cmp.Or(u.Port(), defaultPort)
	if err := textkit.CheckPort(port); err != nil {
		return "", fmt.Errorf("statsd: the address %q: %w", addr, err)
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// Observe takes a sample.
func (o *Observer) Observe(s loadgen.Sample) { o.observe(&s) }

// Watch writes gauges of every job of m each second, from now until ctx is done or
// the Observer is closed: workers (as asked for), vus (that exist), active (in an
// iteration) and rate (iterations a second), as `loadgen.<host>.<job>.workers` and so
// on in every form of [Names]. A job that has ended is written once more, with zeros.
// Watch returns at once; Close waits for what it has started.
func (o *Observer) Watch(ctx context.Context, m *loadgen.Manager) { o.watch(ctx, m) }

// Unreached returns why the server has not been reached so far, such as a name that cannot be
// resolved, or nil.
func (o *Observer) Unreached() error { return o.link.failure() }

// Sent is the number of lines that were handed to the network without an error.
func (o *Observer) Sent() uint64 { return o.link.sent.Load() }

// Dropped is the number of lines that were lost, as far as that is known: because the
// network did not take them, or said later that nobody did, so that they were counted as
// sent; or because requests that came while an address was being resolved were too many.
func (o *Observer) Dropped() uint64 { return o.link.dropped.Load() + o.dropped.Load() }

// Close writes what is left and ends the Observer; no goroutine of it remains. A
// network that takes nothing gets a second. Samples that come later are ignored.
// Closing twice is fine.
func (o *Observer) Close() {
	o.close()
	o.link.end()
	o.sender.Wait()
}

// core turns samples into calls of a sink. It is what an Observer and a Bridge share.
type core struct {
	mu       sync.Mutex
	closed   bool
	table    table
	chains   chains
	resolver *resolver // nil unless addresses are part of names

	namer
	dropped atomic.Uint64 // requests that nothing was written of

	feeders sync.WaitGroup // goroutines that add something
	ctx     context.Context
	stop    context.CancelFunc // ends ctx, which ends the feeders
}

func (c *core) init(s *settings, out sink) {
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.namer = newNamer(s.names, s.hostname)
	c.table = newTable(out, s.exact)
	c.chains = chains{}
	if s.names == NamesMolotovIP {
		c.resolver = &resolver{lookup: s.resolve, hosts: map[string]*address{}, reached: map[string]netip.Addr{}}
	}
}

// observe takes a sample.
func (c *core) observe(s *loadgen.Sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if req, whole := c.chains.take(s); whole {
		c.add(&req)
	}
}

// add counts a request; c is locked.
func (c *core) add(req *request) {
	if c.resolver != nil {
		c.reached(req)
	}
	k := c.key(req)
	b := c.table.buckets[k]
	if b == nil {
		name, ok := c.name(req)
		if !ok {
			return // it waits for an address
		}
		b = c.table.open(k, name)
	}
	c.table.count(b, req, c.failure(req))
}

// name returns the name of a request's bucket, unless an address has to be resolved
// first; c is locked.
func (c *core) name(req *request) (string, bool) {
	if c.resolver == nil {
		return c.bucket(req, ""), true
	}
	addr, ok := c.address(req)
	if !ok {
		return "", false
	}
	return c.bucket(req, addr), true
}

// flush writes what was added up.
func (c *core) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resolveAgain()
	c.table.flush(c.closed)
}

// close ends the goroutines that feed the core. Nothing is added after it.
func (c *core) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.feeders.Wait()
}
