package loadgen

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// links are the open connections of an owner: of a VU, or of what the VUs of a job
// share. All its methods are safe for concurrent use.
type links struct {
	job   context.Context // the hard context of the job
	ended atomic.Bool
	life  context.Context // ends with the owner
	end   context.CancelFunc

	mu   sync.Mutex
	open []net.Conn
}

func (l *links) begin(job context.Context) {
	l.job = job
	l.life, l.end = context.WithCancel(context.Background())
}

// over tells whether the owner, or its job the hard way, has ended.
func (l *links) over() bool { return l.ended.Load() || l.job.Err() != nil }

// adopt makes an open connection the owner's. It returns false, and closes it, if the
// owner has ended.
func (l *links) adopt(nc net.Conn) bool {
	l.mu.Lock()
	if l.ended.Load() {
		l.mu.Unlock()
		_ = nc.Close()
		return false
	}
	defer l.mu.Unlock()
	l.open = append(l.open, nc)
	return true
}

func (l *links) forget(nc net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.open, nc); i >= 0 {
		l.open = slices.Delete(l.open, i, i+1)
	}
}

// interrupt closes all connections, and those that are still to come.
func (l *links) interrupt() {
	l.ended.Store(true)
	l.end()
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for _, nc := range open {
		_ = nc.Close()
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
