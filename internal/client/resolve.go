package client

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// maxHosts is how many names a Manager remembers.
const maxHosts = 1024

// resolver looks names up for all jobs of a Manager, and remembers the answers. It is
// safe for concurrent use.
type resolver struct {
	R *net.Resolver

	mu    sync.Mutex
	hosts map[string]*lookup
}

// lookup is one question, and its answer once done is closed.
type lookup struct {
	done  chan struct{}
	at    time.Time
	addrs []netip.Addr
	err   error
	moot  bool          // there is no answer because who had asked gave up
	turn  atomic.Uint32 // counts who has used the answer
}

// addresses returns the addresses of a host, in the order in which to try them. Of the
// family that is preferred, each time another one is first. Many who ask at the same
// time cause one question. Failures are not remembered.
func (r *resolver) addresses(ctx context.Context, host string, ttl time.Duration) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	for {
		q, mine := r.lookup(host, ttl)
		if mine {
			r.ask(ctx, host, q)
		} else {
			select {
			case <-q.done:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if q.err == nil {
			return rotate(q.addrs, int(q.turn.Add(1)-1)), nil
		}
		if mine || !q.moot || ctx.Err() != nil {
			return nil, q.err
		}
	}
}

// lookup returns the question about a host that is under way or whose answer is fresh,
// or a new one, which is the caller's to ask.
func (r *resolver) lookup(host string, ttl time.Duration) (q *lookup, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.hosts[host]; q != nil {
		select {
		case <-q.done:
			if time.Since(q.at) < ttl {
				return q, false
			}
		default:
			return q, false
		}
	}
	if r.hosts == nil || len(r.hosts) >= maxHosts {
		r.hosts = map[string]*lookup{} // who waits for an answer still gets it
	}
	q = &lookup{done: make(chan struct{})}
	r.hosts[host] = q
	return q, true
}

func (r *resolver) ask(ctx context.Context, host string, q *lookup) {
	from := r.R
	if from == nil {
		from = net.DefaultResolver
	}
	q.err = context.Canceled // should it panic
	defer func() {
		if q.err != nil {
			r.mu.Lock()
			if r.hosts[host] == q {
				delete(r.hosts, host)
			}
			r.mu.Unlock()
		}
		close(q.done)
	}()
	q.addrs, q.err = from.LookupNetIP(ctx, "ip", host)
	q.at, q.moot = time.Now(), ctx.Err() != nil
	for i, a := range q.addrs {
		q.addrs[i] = a.Unmap()
	}
	if q.err == nil && len(q.addrs) == 0 {
		q.err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
}

// rotate returns addresses of the family of the first one, beginning with number n,
// and then the others.
func rotate(addrs []netip.Addr, n int) []netip.Addr {
	var same, other []netip.Addr
	for _, a := range addrs {
		if a.Is4() == addrs[0].Is4() {
			same = append(same, a)
		} else {
			other = append(other, a)
		}
	}
	n %= len(same)
	out := make([]netip.Addr, 0, len(addrs))
	return append(append(append(out, same[n:]...), same[:n]...), other...)
}
