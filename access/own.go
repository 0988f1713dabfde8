package access

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	ownWait = time.Second      // for a name to be looked up
	ownTTL  = 10 * time.Second // that an answer is remembered
	maxOwn  = 1000             // names that are remembered
)

// WithOwnNames also accepts every name that lookup resolves to an address of this machine, such as
// the names that a container has in its network. lookup is [net.Resolver.LookupHost] or alike. This
// gives up the defence against names that others lead to this server: use it only where the
// network keeps others out.
func WithOwnNames(lookup func(ctx context.Context, host string) (addrs []string, err error)) Option {
	return func(g *Gate) error {
		g.own = &ownNames{lookup: lookup, known: map[string]ownName{}}
		return nil
	}
}

// ownNames finds out which names lead to this machine.
type ownNames struct {
	lookup func(ctx context.Context, host string) ([]string, error)

	mu    sync.Mutex
	known map[string]ownName
}

type ownName struct {
	own   bool
	until time.Time
}

// has reports whether a name leads to this machine.
func (o *ownNames) has(ctx context.Context, host string) bool {
	now := time.Now()
	o.mu.Lock()
	k, ok := o.known[host]
	o.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.own
	}
	ctx, cancel := context.WithTimeout(ctx, ownWait)
	defer cancel()
	k = ownName{until: now.Add(ownTTL)}
	if addrs, err := o.lookup(ctx, host); err == nil {
		k.own = slices.ContainsFunc(addrs, isOwn)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.known) >= maxOwn {
		clear(o.known)
	}
	o.known[host] = k
	return k.own
}

// isOwn reports whether an address is one of this machine.
func isOwn(addr string) bool {
	ip := net.ParseIP(addr)
	addrs, err := net.InterfaceAddrs()
	return err == nil && ip != nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(ip)
	})
}
