package client

import (
	"context"
	"sync"
	"sync/atomic"
)

// Pool is what the VUs of a job have in common if they share connections. Its zero
// value is ready for use, and it is safe for concurrent use.
type Pool struct {
	mu       sync.Mutex
	job      context.Context // of the users
	users    int
	target   *Target // the newest that a user has
	revision uint64  // of its plan
	idle     idleConns
	h2       *h2
	tickets  *tickets

	Held  atomic.Uint64 // requests that had to wait for a limit on all jobs
	Files atomic.Uint64 // connections that there was no file descriptor for
}

// join adds a user of a job with a hard context.
func (p *Pool) join(job context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users++
	p.job = job
}

// leave takes a user away. What the others have no use for is closed.
func (p *Pool) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users--
	for len(p.idle) > p.most() {
		_ = p.idle[0].raw.Close()
		p.idle[0] = nil
		p.idle = p.idle[1:]
	}
	if p.users == 0 {
		p.idle = nil
		if p.h2 != nil {
			p.h2.close()
			p.h2 = nil
		}
	}
}

// most is how many idle connections are worth keeping.
func (p *Pool) most() int {
	if p.users == 0 {
		return 0
	}
	return p.users + maxIdle
}

// retarget makes t the target, unless that of a newer plan is already. It returns the
// HTTP/2 client for t, if there is one.
func (p *Pool) retarget(t *Target, revision uint64) *h2 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.target; old != t && revision >= p.revision {
		p.target, p.revision = t, revision
		if old != nil {
			for _, cn := range p.idle.sift(func(cn *conn) bool { return !t.abandons(old, cn.origin) }) {
				_ = cn.raw.Close()
			}
			if p.h2 != nil && p.h2.abandoned(old, t) {
				p.h2.retire()
				p.h2 = nil
			}
		}
	}
	return p.current(t)
}

// current is the HTTP/2 client for t, if there is one.
func (p *Pool) current(t *Target) *h2 {
	if p.h2 == nil || !p.h2.suits(t) {
		return nil
	}
	return p.h2
}

func (p *Pool) http2(t *Target) *h2 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current(t)
}

// useHTTP2 is http2, and makes one if there is none. It returns nil only for the target
// of an older plan.
func (p *Pool) useHTTP2(t *Target) *h2 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.h2 == nil && p.target.alike(t) {
		p.h2 = newH2(p.job, t, t.resumes(&p.tickets))
		p.h2.shared = true
	}
	return p.current(t)
}

// take returns an idle connection to an origin, or nil.
func (p *Pool) take(o origin) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle.take(o)
}

// put keeps a connection for whoever needs it next, or closes it.
func (p *Pool) put(cn *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users == 0 || (cn.target != p.target && !p.target.serves(cn.origin)) {
		_ = cn.raw.Close()
		return
	}
	cn.target = p.target
	if surplus := p.idle.put(cn, p.most()); surplus != nil {
		_ = surplus.raw.Close()
	}
}

// Empty tells whether the pool has neither users nor connections.
func (p *Pool) Empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.users == 0 && len(p.idle) == 0 && p.h2 == nil
}
