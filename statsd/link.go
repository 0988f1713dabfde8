package statsd

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	dialWait   = 2 * time.Second
	redialWait = 5 * time.Second // between attempts, while there are errors
	closeWait  = time.Second     // what a blocked network gets at the end

	queueLen  = 4096 // datagrams that wait for the network at most
	queueFull = 1024 // from here on, what can wait does
	spareLen  = 256  // buffers kept

	// A burst is small enough for the usual receive buffer of a server, which
	// has the pause to read it: some 16,000 datagrams a second.
	burst      = 32
	burstPause = 2 * time.Millisecond
)

// link is the way to the server: a queue of datagrams, and the goroutine that sends
// them, which alone may wait for the network.
type link struct {
	dial   func(context.Context) (net.Conn, error)
	ctx    context.Context // until the link is to end
	cancel context.CancelFunc
	wake   chan struct{}

	sent, dropped atomic.Uint64 // lines

	mu      sync.Mutex
	queue   []datagram
	spare   [][]byte // buffers to use again
	conn    net.Conn
	closing bool

	// Of the goroutine alone:
	sending []datagram
	last    int // lines of the datagram that was sent last
	dialled time.Time
}

// newLink returns a link that is connected, or tries to be while it has something to send: the
// name of a server may be known only when that is up.
func newLink(dial func(context.Context) (net.Conn, error)) *link {
	l := &link{dial: dial, wake: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	conn, err := l.connect()
	if err != nil {
		conn = unreached{err: err}
	}
	l.conn = conn
	return l
}

// unreached is a connection that could not be made.
type unreached struct {
	net.Conn // nil: nothing else is called
	err      error
}

func (u unreached) Write([]byte) (int, error)        { return 0, u.err }
func (u unreached) Close() error                     { return nil }
func (u unreached) SetWriteDeadline(time.Time) error { return nil }

// failure is why the server has not been reached yet, or nil.
func (l *link) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u, ok := l.conn.(unreached); ok {
		return u.err
	}
	return nil
}

func (l *link) connect() (net.Conn, error) {
	l.dialled = time.Now()
	ctx, cancel := context.WithTimeout(l.ctx, dialWait)
	defer cancel()
	return l.dial(ctx)
}

// push queues a datagram, or drops it if there are too many. It returns an empty one.
func (l *link) push(d datagram) datagram {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) >= queueLen {
		l.dropped.Add(uint64(d.lines))
		return datagram{bytes: d.bytes[:0]}
	}
	l.queue = append(l.queue, d)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	var next datagram
	if n := len(l.spare); n > 0 {
		next.bytes, l.spare = l.spare[n-1], l.spare[:n-1]
	}
	return next
}

func (l *link) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) >= queueFull && !l.closing
}

// run sends, and calls flush in time, until the link is to end. Then it sends what
// there is, and closes the connection.
func (l *link) run(flush func()) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-l.wake:
		case <-ticker.C:
			flush()
		case <-l.ctx.Done():
			ended = true
			flush()
		}
		l.send()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.conn.Close()
}

// send sends what is queued.
func (l *link) send() {
	l.mu.Lock()
	l.sending, l.queue = l.queue, l.sending[:0]
	conn := l.conn
	l.mu.Unlock()
	for i, d := range l.sending {
		if i > 0 && i%burst == 0 {
			<-time.After(burstPause)
		}
		_, err := conn.Write(d.bytes)
		if errors.Is(err, syscall.ECONNREFUSED) { // it was the datagram before that nobody took
			l.dropped.Add(uint64(l.last))
			l.last = 0
			_, err = conn.Write(d.bytes)
		}
		if err != nil {
			l.dropped.Add(uint64(d.lines))
			conn = l.redial(conn)
			continue
		}
		l.sent.Add(uint64(d.lines))
		l.last = d.lines
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, d := range l.sending {
		if len(l.spare) < spareLen {
			l.spare = append(l.spare, d.bytes[:0])
		}
		l.sending[i] = datagram{}
	}
}

// redial connects anew after an error, if the last time is long enough ago: a server
// may have come back at another address of the same name.
func (l *link) redial(old net.Conn) net.Conn {
	if time.Since(l.dialled) < redialWait {
		return old
	}
	conn, err := l.connect()
	if err != nil {
		return old
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = old.Close()
	l.conn = conn
	if l.closing {
		l.limit()
	}
	return conn
}

// end makes run return in a short time.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing {
		l.closing = true
		l.limit()
		l.cancel()
	}
}

// limit sets the time by which the connection must have taken everything; l is locked.
func (l *link) limit() { _ = l.conn.SetWriteDeadline(time.Now().Add(closeWait)) }
