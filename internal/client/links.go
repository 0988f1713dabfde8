package client

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

// links are what an owner, a VU or an HTTP/2 client, has open: connections, and what
// waits for one. All its methods are safe for concurrent use.
type links struct {
	job   context.Context // the hard context of the job
	ended atomic.Bool

	mu   sync.Mutex
	open []io.Closer
}

// cancellation is closed like a connection, and ends what is under way.
type cancellation struct{ cancel context.CancelFunc }

// Close implements [io.Closer].
func (c *cancellation) Close() error {
	c.cancel()
	return nil
}

// over tells whether the owner, or its job the hard way, has ended.
func (l *links) over() bool { return l.ended.Load() || l.job.Err() != nil }

// adopt makes something open the owner's. It returns false, and closes it, if the owner
// has ended.
func (l *links) adopt(c io.Closer) bool {
	l.mu.Lock()
	if l.ended.Load() {
		l.mu.Unlock()
		_ = c.Close()
		return false
	}
	defer l.mu.Unlock()
	l.open = append(l.open, c)
	return true
}

func (l *links) forget(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.open, c); i >= 0 {
		l.open = slices.Delete(l.open, i, i+1)
	}
}

// interrupt closes everything, and what is still to come.
func (l *links) interrupt() {
	l.ended.Store(true)
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

// idleConns are connections that wait for a request, the one used last at the end.
type idleConns []*conn

// take removes the connection to an origin that was used last, and returns it, or
// nil if there is none.
func (l *idleConns) take(o origin) *conn {
	s := *l
	for i := len(s) - 1; i >= 0; i-- {
		if cn := s[i]; cn.origin == o {
			*l = slices.Delete(s, i, i+1)
			return cn
		}
	}
	return nil
}

// put adds a connection. If there are more than most then, it returns the one that has
// waited longest.
func (l *idleConns) put(cn *conn, most int) (surplus *conn) {
	*l = append(*l, cn)
	if len(*l) > most {
		surplus = (*l)[0]
		*l = slices.Delete(*l, 0, 1)
	}
	return surplus
}

// sift removes the connections that are not to be kept, and returns them.
func (l *idleConns) sift(keep func(*conn) bool) (out []*conn) {
	*l = slices.DeleteFunc(*l, func(cn *conn) bool {
		if keep(cn) {
			return false
		}
		out = append(out, cn)
		return true
	})
	return out
}
