package locust

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/opbeans/loadgen/internal/locustwire"
)

// line is the worker's side of the connection to the master: it makes one, tells what
// arrives on it, and when it breaks makes another. All but its goroutine is the worker's.
type line struct {
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	addr   string
	events chan lineEvent
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	conn  *locustwire.Conn // nil while there is none
	pause time.Duration    // before the next try
}

// lineEvent is a new connection, a message, a message that was garbled, or the end of a
// connection or of a try to make one.
type lineEvent struct {
	conn *locustwire.Conn
	msg  *locustwire.Message
	err  error
}

func newLine(cfg *Config) *line {
	l := &line{dial: cfg.DialContext, addr: cfg.Master, events: make(chan lineEvent)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// open makes a connection under that identity, after a pause that grows while tries fail.
func (l *line) open(identity string) {
	pause := l.pause
	l.pause = min(max(2*pause, redialFirst), redialMost)
	l.wg.Go(func() {
		wait := time.NewTimer(pause)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-l.ctx.Done():
			return
		}
		raw, err := l.dial(l.ctx, "tcp", l.addr)
		if err != nil {
			l.tell(lineEvent{err: err})
			return
		}
		cut := context.AfterFunc(l.ctx, func() { raw.Close() })
		defer cut()
		conn, err := locustwire.Shake(raw, locustwire.Dealer, identity)
		if err != nil {
			l.tell(lineEvent{err: err})
			return
		}
		defer conn.Close()
		for e := (lineEvent{conn: conn}); l.tell(e) && (e.err == nil || e.msg != nil); {
			msg, err := conn.Receive()
			e = lineEvent{err: err}
			if err == nil || errors.Is(err, locustwire.ErrGarbled) {
				e.msg = &msg
			}
		}
	})
}

func (l *line) tell(e lineEvent) bool {
	select {
	case l.events <- e:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// send sends a message, if there is a connection. One that fails to take it is closed;
// that it has broken is an event.
func (l *line) send(m locustwire.Message) bool {
	if l.conn == nil {
		return false
	}
	if err := l.conn.Send(m); err != nil {
		l.drop()
		return false
	}
	return true
}

// drop closes the connection, which makes it break.
func (l *line) drop() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// close ends it all, and waits for that. What was sent is not cut off by an answer that
// comes to a closed socket: the other end has a moment to read all and close.
func (l *line) close() {
	if l.conn != nil && l.conn.CloseWrite() {
		late := time.NewTimer(time.Second)
		defer late.Stop()
		for open := true; open; {
			select {
			case e := <-l.events:
				open = e.msg != nil
			case <-late.C:
				open = false
			}
		}
	}
	l.cancel()
	l.wg.Wait()
}
