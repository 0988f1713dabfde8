package statsd

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

const (
	resolveWait      = 2 * time.Second
	resolveWaitAgain = 10 * time.Second // how long a failure stands
	maxHosts         = 1024             // of a resolver; more keep their names
	maxWaiting       = 8192             // requests that wait for an address
)

// resolver knows the addresses of hosts. Lookups run on goroutines of their own;
// requests wait for them without anybody waiting. It is guarded by its core's lock.
type resolver struct {
	lookup  func(ctx context.Context, host string) (netip.Addr, error)
	hosts   map[string]*address
	reached map[string]netip.Addr // where requests last went, by the URL's host and port
	waiting int
}

// address is what is known of a host.
type address struct {
	text     string
	known    bool // text is an address, or the name in place of one
	failedAt time.Time
	movedAt  time.Time // when a request last went elsewhere than those before
	looking  bool
	waiting  []request
}

// address returns the address of a request's host, or its name if there is none. It
// returns false if that is not known yet: the request is added when it is. c is locked.
func (c *core) address(req *request) (string, bool) {
	host := hostname(req.host)
	if isIPv4(host) {
		return host, true
	}
	r := c.resolver
	a := r.hosts[host]
	if a == nil {
		if len(r.hosts) >= maxHosts || strings.Contains(host, ":") {
			return host, true
		}
		a = &address{}
		r.hosts[host] = a
	}
	if !a.known {
		c.look(host, a)
	}
	if a.known {
		return a.text, true
	}
	if r.waiting >= maxWaiting {
		c.dropped.Add(1)
		return "", false
	}
	r.waiting++
	a.waiting = append(a.waiting, *req)
	return "", false
}

// reached takes note of where a request went: that is its host's address, also of
// requests that get nowhere. A host with several keeps one for a while, so that its
// numbers are not spread over them all the time. c is locked.
func (c *core) reached(req *request) {
	r := c.resolver
	if !req.remote.Is4() || r.reached[req.host] == req.remote {
		return
	}
	if len(r.reached) >= maxHosts {
		clear(r.reached)
	}
	host := hostname(req.host)
	a := r.hosts[host]
	switch {
	case isIPv4(host):
	case a == nil && len(r.hosts) >= maxHosts:
		return
	case a == nil:
		r.hosts[host] = &address{known: true, text: req.remote.String(), movedAt: time.Now()}
	case a.text == req.remote.String():
	case a.known && time.Since(a.movedAt) < resolveWaitAgain:
		return
	default:
		a.movedAt = time.Now()
		c.found(a, req.remote.String())
	}
	r.reached[req.host] = req.remote
}

// look begins to look a host up, unless that is under way; c is locked.
func (c *core) look(host string, a *address) {
	if !a.looking && !c.closed {
		a.looking = true
		c.feeders.Go(func() { c.resolve(host, a) })
	}
}

// resolveAgain looks up what could not be resolved some time ago, while there are
// requests; c is locked.
func (c *core) resolveAgain() {
	if c.resolver == nil || c.table.seen == 0 {
		return
	}
	for host, a := range c.resolver.hosts {
		if !a.failedAt.IsZero() && time.Since(a.failedAt) >= resolveWaitAgain {
			c.look(host, a)
		}
	}
}

// resolve looks a host up, and adds the requests that waited for it.
func (c *core) resolve(host string, a *address) {
	ctx, cancel := context.WithTimeout(c.ctx, resolveWait)
	defer cancel()
	addr, err := c.resolver.lookup(ctx, host)

	c.mu.Lock()
	defer c.mu.Unlock()
	a.looking = false
	switch {
	case !a.movedAt.IsZero(): // a request has shown it meanwhile
	case err != nil || !addr.Unmap().Is4():
		c.found(a, host)
		a.failedAt = time.Now()
	default:
		c.found(a, addr.Unmap().String())
	}
}

// found sets the text of an address, and adds the requests that waited for it.
func (c *core) found(a *address, text string) {
	if a.text != "" && a.text != text {
		c.table.reset() // buckets have the old name
	}
	a.known, a.text, a.failedAt = true, text, time.Time{}
	waiting := a.waiting
	a.waiting = nil
	c.resolver.waiting -= len(waiting)
	for i := range waiting {
		c.add(&waiting[i])
	}
}

// lookupIPv4 returns the first IPv4 address of a host.
func lookupIPv4(ctx context.Context, host string) (netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return netip.Addr{}, err
	}
	return addrs[0], nil
}
